//! Properties of Java's clients that librdkafka does not have, and what it has instead.
//!
//! Whoever has a `client.properties` gives what stands in it.

/// What a property of Java's clients is called here, or why it is not needed; `None` where
/// Java's clients have none of this name either.
pub(crate) fn instead(name: &str) -> Option<&'static str> {
    Some(match name {
        "sasl.jaas.config" => {
            "its username is sasl.username and its password sasl.password, best in the file of \
             --kafka-password-file; its login module is sasl.mechanism"
        }
        "ssl.truststore.location" => {
            "certificates to trust are given as ssl.ca.location, a file in PEM. (From a JKS file: \
             keytool -list -rfc -keystore FILE > ca.pem)"
        }
        "ssl.truststore.certificates" => "it is ssl.ca.pem; or ssl.ca.location, a file in PEM",
        "ssl.truststore.password" | "ssl.truststore.type" => {
            "ssl.ca.location names a file in PEM, which has no password"
        }
        "ssl.keystore.type" => {
            "ssl.keystore.location takes PKCS#12; PEM is given as ssl.certificate.location and \
             ssl.key.location"
        }
        "ssl.keystore.key" => "it is ssl.key.pem; or ssl.key.location, a file in PEM",
        "ssl.keystore.certificate.chain" => {
            "it is ssl.certificate.pem; or ssl.certificate.location, a file in PEM"
        }
        "ssl.enabled.protocols" | "ssl.protocol" => {
            "leave it out: TLS 1.2 and 1.3 are agreed on with the broker"
        }
        "ssl.provider"
        | "ssl.keymanager.algorithm"
        | "ssl.trustmanager.algorithm"
        | "ssl.secure.random.implementation"
        | "ssl.engine.factory.class"
        | "security.providers" => "leave it out: it is about Java's own cryptography",
        "sasl.client.callback.handler.class"
        | "sasl.login.callback.handler.class"
        | "sasl.login.class" => {
            "leave it out: there are no Java classes here; PLAIN and SCRAM take sasl.username and \
             sasl.password"
        }
        "sasl.oauthbearer.jwks.endpoint.url"
        | "sasl.oauthbearer.expected.audience"
        | "sasl.oauthbearer.expected.issuer" => "leave it out: it is a setting of brokers",
        "key.deserializer" | "value.deserializer" | "key.serializer" | "value.serializer" => {
            "leave it out: keys and values are taken as bytes"
        }
        "fetch.max.wait.ms" => "it is fetch.wait.max.ms",
        "receive.buffer.bytes" => "it is socket.receive.buffer.bytes",
        "send.buffer.bytes" => "it is socket.send.buffer.bytes",
        "default.api.timeout.ms" => "it is socket.timeout.ms",
        "socket.connection.setup.timeout.max.ms" => "it is socket.connection.setup.timeout.ms",
        "buffer.memory" => "it is queue.buffering.max.kbytes",
        "max.block.ms" => "leave it out: a full queue is waited for",
        "max.request.size" => "it is message.max.bytes",
        "partitioner.class" => "it is partitioner",
        "max.poll.records" | "exclude.internal.topics" | "group.instance.id.enabled" => {
            "leave it out: it is about consumer groups, and none is joined"
        }
        "interceptor.classes" | "metric.reporters" | "config.providers" => {
            "leave it out: there are no Java classes here"
        }
        "metrics.num.samples" | "metrics.recording.level" | "metrics.sample.window.ms" => {
            "leave it out: metrics are served over HTTP"
        }
        "auto.include.jmx.reporter" => "leave it out: there is no JMX here",
        "schema.registry.url" | "basic.auth.credentials.source" | "basic.auth.user.info" => {
            "leave it out: schema registries are not read; messages are JSON"
        }
        _ => return None,
    })
}
