//! What the pipeline wrote into the embedded store.
