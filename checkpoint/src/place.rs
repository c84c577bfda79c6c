//! Where checkpoints are: a directory, or a place in an object store.

use super::error::CheckpointError;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// What a place may be, for whoever gave another one.
const TAKES: &str = "it takes a directory, file:///DIRECTORY, s3://BUCKET/PATH, gs://BUCKET/PATH or \
     az://CONTAINER/PATH";

/// A place that has been opened.
pub(super) struct Place {
    /// What keeps objects.
    pub(super) objects: Box<dyn ObjectStore>,
    /// Before every object's name.
    pub(super) prefix: Path,
    /// The directory, if it is one.
    pub(super) directory: Option<PathBuf>,
    /// The place as it may be shown: no password, no signature.
    pub(super) shown: String,
}

/// Opens the place at `url`. With `write`, a directory that is not there is made, and
/// it is found out whether it can be written to.
pub(super) fn open(url: &str, write: bool) -> Result<Place, CheckpointError> {
    if url.trim().is_empty() {
        return Err(CheckpointError::location("\"\"", TAKES));
    }
    // A path may hold anything, also a colon; only with `://` it is a URL.
    let Some((scheme, _)) = url.split_once("://") else {
        return open_directory(PathBuf::from(url), url.to_owned(), write);
    };
    let Ok(parsed) = Url::parse(url) else {
        // It cannot be taken apart, and so not be shown either.
        return Err(CheckpointError::location(format!("{scheme}://…"), TAKES));
    };
    let shown = shown(&parsed);
    match parsed.scheme() {
        "file" => match parsed.to_file_path() {
            Ok(path) => open_directory(path, shown, write),
            Err(()) => Err(CheckpointError::location(
                shown,
                "the path of a directory is absolute: file:///DIRECTORY",
            )),
        },
        "s3" | "gs" | "az" => open_cloud(&parsed, shown),
        #[cfg(test)]
        "memory" => Ok(Place {
            objects: Box::new(object_store::memory::InMemory::new()),
            prefix: Path::default(),
            directory: None,
            shown,
        }),
        other => Err(CheckpointError::location(
            shown,
            format!("{other}:// is not known; {TAKES}"),
        )),
    }
}

/// A URL without what is secret in it.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{}", url.scheme(), url.path())
}

fn open_directory(
    directory: PathBuf,
    shown: String,
    write: bool,
) -> Result<Place, CheckpointError> {
    let wrong = |detail: String| CheckpointError::location(shown.clone(), detail);
    match fs::metadata(&directory) {
        Ok(metadata) if !metadata.is_dir() => {
            return Err(wrong(format!("it is a file and not a directory; {TAKES}")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(wrong(format!(
                "a part of its path is not a directory; {TAKES}"
            )));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(wrong(error.to_string()));
        }
        Err(_) if !write => return Err(CheckpointError::None { url: shown }),
        Err(_) => {}
    }
    if write {
        for folder in [super::store::FILES, super::store::MANIFESTS] {
            fs::create_dir_all(directory.join(folder))
                .map_err(|error| wrong(format!("it cannot be made: {error}")))?;
        }
        let trial = directory.join(".writable");
        fs::write(&trial, "")
            .map_err(|error| wrong(format!("it cannot be written to: {error}")))?;
        // Another process that starts now may have removed it.
        let _ = fs::remove_file(&trial);
    }
    let objects = LocalFileSystem::new_with_prefix(&directory)
        .map_err(|error| wrong(error.to_string()))?
        .with_fsync(true);
    Ok(Place {
        objects: Box::new(objects),
        prefix: Path::default(),
        directory: Some(directory),
        shown,
    })
}

/// An object store, reached as the environment says. What it does not answer is soon an
/// error: whoever asks knows best for how long to try again.
fn open_cloud(url: &Url, shown: String) -> Result<Place, CheckpointError> {
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        let detail = "it takes no credentials in the URL; give them in the environment, as \
                      AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS or AZURE_STORAGE_ACCOUNT_KEY";
        return Err(CheckpointError::location(shown, detail));
    }
    for name in ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"] {
        // The client of S3 takes it for one unseen.
        if std::env::var(name).is_ok_and(|endpoint| !is_endpoint(&endpoint)) {
            let detail = format!("{name}: it takes a URL such as https://minio:9000");
            return Err(CheckpointError::location(shown, detail));
        }
    }
    // The cloud's client needs to be told which cryptography to use. Where something
    // else has chosen already, that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retries = RetryConfig {
        max_retries: 3,
        retry_timeout: Duration::from_secs(20),
        ..RetryConfig::default()
    };
    let objects: object_store::Result<Box<dyn ObjectStore>> = match url.scheme() {
        "s3" => {
            let builder = AmazonS3Builder::from_env().with_url(url.as_str());
            builder.with_retry(retries).build().map(boxed)
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str());
            builder.with_retry(retries).build().map(boxed)
        }
        _ => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str());
            builder.with_retry(retries).build().map(boxed)
        }
    };
    let wrong = |detail: String| CheckpointError::location(shown.clone(), detail);
    let objects = objects.map_err(|error| wrong(error.to_string()))?;
    let prefix = Path::from_url_path(url.path()).map_err(|error| wrong(error.to_string()))?;
    Ok(Place {
        objects,
        prefix,
        directory: None,
        shown,
    })
}

fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.has_host())
}

fn boxed(objects: impl ObjectStore) -> Box<dyn ObjectStore> {
    Box::new(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str) -> String {
        match open(url, true) {
            Ok(_) => panic!("{url} is a place"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_directory_is_made_and_may_be_named_in_two_ways() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b c");
        let path = path.to_str().unwrap();
        assert!(matches!(
            open(path, false),
            Err(CheckpointError::None { .. })
        ));
        assert_eq!(open(path, true).unwrap().shown, path);
        assert!(fs::metadata(path).unwrap().is_dir());
        let url = Url::from_file_path(path).unwrap();
        let place = open(url.as_str(), false).unwrap();
        assert_eq!(place.directory, Some(PathBuf::from(path)));
    }

    #[test]
    fn what_is_no_place_is_told_with_what_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let said = error(file.to_str().unwrap());
        assert!(
            said.contains("it is a file and not a directory; it takes"),
            "{said}"
        );
        let said = error(file.join("below").to_str().unwrap());
        assert!(said.contains("not a directory"), "{said}");
        for url in ["", "ftp://host/x", "s3://", "file://host/x"] {
            let said = error(url);
            assert!(said.starts_with("checkpoint "), "{said}");
            assert!(open(url, true).is_err_and(|error| !error.is_temporary()));
        }
        assert!(error("ftp://host/x").contains("ftp:// is not known; it takes a directory"));
    }

    #[test]
    fn a_secret_in_a_url_is_refused_and_not_shown() {
        for url in [
            "s3://ann:hunter2@bucket/x",
            "az://container/x?sig=hunter2",
            "ftp://a:hunter2@b",
        ] {
            let said = error(url);
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn an_endpoint_is_a_url_with_a_host() {
        assert!(is_endpoint("http://127.0.0.1:9000"));
        for other in ["", "minio", "minio:9000", "/x"] {
            assert!(!is_endpoint(other), "{other}");
        }
    }

    #[test]
    fn an_object_store_is_opened_without_being_asked() {
        let place = open("s3://bucket/some/path", true).unwrap();
        assert_eq!(place.prefix, Path::from("some/path"));
        assert_eq!(
            (place.shown.as_str(), place.directory),
            ("s3://bucket/some/path", None)
        );
    }
}
