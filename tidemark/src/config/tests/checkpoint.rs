//! What is asked about a checkpoint.

use super::*;

fn asked(args: &[&str]) -> CheckpointQuestion {
    match load_with(&[&["checkpoint"], args].concat(), &[]) {
        Ok(Command::Checkpoint(question)) => question,
        Ok(other) => panic!("not a question: {other:?}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_checkpoint_is_inspected_and_verified() {
    let url = "s3://shop/tidemark".to_owned();
    let inspect = |json| CheckpointQuestion::Inspect {
        url: url.clone(),
        json,
    };
    assert_eq!(asked(&["inspect", &url]), inspect(false));
    assert_eq!(asked(&["inspect", &url, "--json"]), inspect(true));
    assert_eq!(asked(&["verify", &url]), CheckpointQuestion::Verify { url });
    // Settings of the pipeline do not matter, also where they are wrong.
    let env = [("TIDEMARK_WORKERS", "none")];
    assert!(load_with(&["checkpoint", "verify", "/x"], &env).is_ok());
}

#[test]
fn a_question_without_a_place_is_wrong_usage() {
    for args in [
        &["checkpoint"][..],
        &["checkpoint", "inspect"],
        &["checkpoint", "verify", "--json", "/x"],
    ] {
        let Err(ConfigError::Usage(usage)) = load_with(args, &[]) else {
            panic!("{args:?} is valid")
        };
        assert_eq!(usage.exit_code(), 2, "{args:?}");
    }
    for args in [
        &["checkpoint", "--help"][..],
        &["checkpoint", "verify", "--help"],
    ] {
        let Err(ConfigError::Usage(help)) = load_with(args, &[]) else {
            panic!("no help")
        };
        assert_eq!(help.exit_code(), 0);
        let text = help.to_string();
        assert!(
            text.contains("tidemark checkpoint verify /var/lib/tidemark"),
            "{text}"
        );
    }
}
