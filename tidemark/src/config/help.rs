//! What `--help` says below the list of arguments: examples, environment, exit codes.

pub(super) const OF_A_RUN: &str = "\
Examples:
  tidemark -w 4
      Everything in one process, nothing to install: a generated shop, first two
      days of history, then live; the rows in an SQLite file.
  tidemark -w 4 --brokers kafka:9092 --mongodb-uri mongodb://db/?replicaSet=rs0
      A real Kafka and a real MongoDB.
  tidemark -w 2 -n 2 -p 0 --brokers kafka:9092 --mongodb-uri mongodb://db/
  tidemark -w 2 -n 2 -p 1 --brokers kafka:9092 --mongodb-uri mongodb://db/
      Two processes of two workers that share the work, on one machine. On
      several machines give all of them the same --hostfile.
  tidemark --brokers kafka:9092 --sqlite shop.sqlite --until-caught-up
      What the topics hold now, into an SQLite file, and exit.
  tidemark -w 4 --brokers kafka:9092 --mongodb-uri mongodb://db/ \
        --checkpoint /var/lib/tidemark
      A restart goes on from the last checkpoint, seconds old, whatever ended the
      run before.
  tidemark supervise -n 3 -w 2 -- --brokers kafka:9092 --mongodb-uri mongodb://db/
      Three processes on this machine, started again when one fails.
  tidemark views
      What is computed, from what.
  tidemark why sales_analysis latest
      Why a window of a running pipeline is still open: which partitions hold it.
  tidemark checkpoint inspect /var/lib/tidemark
      How far the newest checkpoint is, and what it holds; verify reads all of it.

Environment:
  TIDEMARK_<SETTING>        any setting above: --max-in-flight is
                            TIDEMARK_MAX_IN_FLIGHT
  TIDEMARK_KAFKA_<NAME>     a librdkafka property: TIDEMARK_KAFKA_SASL_PASSWORD
                            is sasl.password
  NO_COLOR                  no colours
  Flags win over the environment, which wins over the file of --config.

File (TOML):
  brokers = \"kafka:9092\"    any setting above, with _ for -
  [kafka]                   librdkafka properties
  fetch.wait.max.ms = 50
  [views.sales_analysis]    any of these may be left out
  window = \"1h\"
  time = \"kafka\"            or a time field of the event
  lateness = \"2h\"           or \"forever\"
  group_index = true        an index by group too: one group over a long
                            time is found at once, writing takes longer

Exit codes:
  0  done    1  something is away, or failed while running
  2  wrong before anything runs: a setting, or what it names";

pub(super) const OF_SUPERVISE: &str = "\
All processes run on this machine, with what stands behind -- as their arguments. When
one of them ends otherwise than with 0, all are started again, after 1, 2, 4, … 30
seconds; a minute without a failure makes that 1 again. Ctrl-C and SIGTERM are passed
on, the second one too. If the supervisor itself is killed, its processes stop.

Without --hostfile the processes talk to each other by free ports of this machine.
Process 0 serves HTTP as the arguments say, the others do so with --http-all only. With
several processes there is no live status; lines are logged instead.

Examples:
  tidemark supervise -n 3 -w 2 -- --brokers kafka:9092 --mongodb-uri mongodb://db/
  tidemark supervise -w 4 -- --config tidemark.toml

Exit codes:
  0  all have ended with 0    1  given up    2  wrong usage or configuration";

pub(super) const OF_WHY: &str = "\
A window is final when every partition of its topic has seen an event at or after
the window's end + the view's lateness. This says which ones have not.

Examples:
  tidemark why sales_analysis latest
  tidemark why sales_analysis 2026-11-24T10:00:00Z
  tidemark why customer_analysis 2026-11-24 --http 8081
      A day alone is its midnight, UTC. A pipeline that found port 8080 taken
      serves on another one: its first line of log says where.
  tidemark why sales_analysis latest --http https://tidemark.example:8443 \
        --http-token-file token --http-ca ca.pem
      One on another machine.

Environment:
  TIDEMARK_HTTP             where it serves, unless --http says so
  TIDEMARK_HTTP_TOKEN_FILE  the same as --http-token-file

Exit codes:
  0  answered    1  nobody there, or no answer yet
  2  no such view or window, or not allowed to ask";

pub(super) const OF_CHECKPOINT: &str = "\
A checkpoint is what a restart goes on from: files whose records add up to the state
as of an epoch, and a manifest that names them. These commands only read: a pipeline
may run meanwhile.

URL is what was given to --checkpoint:
  /var/lib/tidemark         a directory, also as file:///var/lib/tidemark
  s3://BUCKET/PATH          with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
                            AWS_ENDPOINT, …
  gs://BUCKET/PATH          with GOOGLE_APPLICATION_CREDENTIALS, …
  az://CONTAINER/PATH       with AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, …

Examples:
  tidemark checkpoint inspect /var/lib/tidemark
      Its number, epoch and time, the views with their watermarks, offsets, files.
  tidemark checkpoint inspect s3://shop/tidemark --json
      The same for a program: .checkpoint.epoch, .checkpoint.state, .bytes, …
  tidemark checkpoint verify /var/lib/tidemark
      Before it is relied on: after a copy, a move, a disk that had errors.

Exit codes:
  0  answered, whole    1  none, damaged or not to be read    2  no place for one";

pub(super) const OF_COMPLETIONS: &str = "\
Examples:
  tidemark completions bash > ~/.local/share/bash-completion/completions/tidemark
  tidemark completions zsh > ~/.zfunc/_tidemark
      With fpath+=(~/.zfunc) in ~/.zshrc, before compinit.
  tidemark completions fish > ~/.config/fish/completions/tidemark.fish";

pub(super) const OF_MAN: &str = "\
Examples:
  tidemark man | man -l -
  tidemark man ~/.local/share/man/man1
      Then: man tidemark, man tidemark-supervise, …";
