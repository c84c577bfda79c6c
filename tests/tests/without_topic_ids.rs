//! Brokers that give topics no ids, as those before Kafka 2.8: a topic is known by its
//! partitions and the last message of each. The program with fail points takes all topics
//! for such.

use end_to_end::checkpoint::Folder;
use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::{Sample, with};
use end_to_end::{Pipeline, Scene};

const TOPIC: &str = "system_logs";

/// `count` log lines for partition 0, sent now.
fn lines(count: usize) -> Vec<Sample> {
    vec![Sample::new(TOPIC, with(TOPIC, &[])).partition(0); count]
}

/// The exit code, and what it says.
fn run(pipeline: &Pipeline) -> (Option<i32>, String) {
    let mut run = pipeline.clone().until_caught_up().start();
    let code = run.process().exit_code(PATIENCE);
    (code, run.process().output())
}

fn counted(scene: &Scene) -> i64 {
    let rows = scene.documents("log_analysis").into_iter();
    rows.map(|row| row.get_i64("total_logs").expect("a long"))
        .sum()
}

#[test]
fn a_topic_is_known_by_the_last_message_of_each_partition() {
    for keeps in [true, false] {
        let scene = Scene::without_topics("no-ids");
        scene.create(TOPIC, 2, 1);
        let topic = scene.topic(TOPIC);
        let folder = Folder::new();
        let pipeline = match keeps {
            true => folder.kept_by(&scene.pipeline()),
            false => scene.pipeline(),
        };
        let pipeline = pipeline.without_topic_ids();
        scene.produce(&lines(100));
        pipeline.clone().until_caught_up().run();
        let progress = scene.mongo.progress().expect("MongoDB answers");
        let progress = progress.expect("progress");
        let log = progress.get_document("log").expect("a log");
        assert!(log.get_document("topic_ids").expect("ids").is_empty());
        let last = log.get_document("last_read").expect("messages");
        let last = last.get_document(&topic).expect("the topic");
        let last = last.get_document("0").expect("the partition");
        assert_eq!(last.get_i64("offset").expect("a long"), 99);
        assert!(last.get_i64("hash").is_ok(), "{last}");

        // It goes on where it was.
        scene.produce(&lines(20));
        pipeline.clone().until_caught_up().run();
        assert_eq!(counted(&scene), 120);

        // The last message has expired: whether it is the same topic cannot be known.
        scene.kafka.expire(&topic, 0, 120);
        if keeps {
            let (code, output) = run(&pipeline);
            assert_eq!(code, Some(0), "{output}");
            let warned = output.contains("the last message that was read is not there any more");
            assert!(warned, "{output}");
        }

        // Another topic under its name, longer; and with one partition only.
        for (partitions, count, said) in [
            (2, 150, "partition 0 has another message at offset 119"),
            (
                2,
                119,
                "partition 0 was read up to offset 120, and now it ends at 119",
            ),
        ] {
            scene.kafka.recreate(&topic, partitions);
            scene.produce(&lines(count));
            let (code, output) = run(&pipeline);
            assert_eq!(code, Some(1), "{output}");
            let said = format!("topic {topic} {said}");
            assert!(output.contains(&said), "{said:?} is not in {output}");
            assert!(output.contains("--reset-view log_analysis"), "{output}");
            assert_eq!(counted(&scene), 120);
        }

        // The way out is the same.
        let (code, output) = run(&pipeline.clone().flag("--reset-view", "log_analysis"));
        assert_eq!(code, Some(0), "{output}");
        assert_eq!(counted(&scene), 119);
    }
}
