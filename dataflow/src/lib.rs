//! The pipeline of Tidemark: what its binary is made of.

pub mod config;
pub mod observe;
pub mod serve;
