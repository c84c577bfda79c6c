use super::*;
use proptest::prelude::*;

const SALE: &str = r#"{"transaction_id":"t1","customer_id":"c1","product_id":"p1","quantity":3,"date_time":"2024-11-02T13:45:11","status":"completed"}"#;

fn form(value: impl AsRef<[u8]>) -> Option<Form> {
    recognise("transactions", value.as_ref())
}

/// A sale in which a text is another one.
fn sale(from: &str, to: &str) -> String {
    assert!(SALE.contains(from), "{from}");
    SALE.replace(from, to)
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [frame, SALE.as_bytes()].concat()
}

#[test]
fn frames_of_registries() {
    let id = |id| Some(Form::SchemaRegistry { id });
    assert_eq!(form(framed(b"\0\0\0\0\x01")), id(1));
    assert_eq!(form(framed(b"\0\0\x01\x86\xa0")), id(100_000));
    // Avro, and Protobuf with the index of a message.
    assert_eq!(form(b"\0\0\0\0\x07\x04t1\x04c1\x06"), id(7));
    assert_eq!(form(b"\0\0\0\0\x2a\0\x0a\x02t1\x12\x02c1"), id(42));
    let registry = |value: Vec<u8>| match form(value) {
        Some(Form::Registry(name)) => name,
        other => panic!("{other:?}"),
    };
    assert!(registry(framed(b"\0\0\0\0\0\0\0\0\x05")).contains("Apicurio"));
    assert!(registry(framed(b"\x01abcdefghijklmnop")).contains("GUID"));
    assert!(registry(framed(b"\x03\0abcdefghijklmnop")).contains("Glue"));
}

#[test]
fn compression_inside_the_value() {
    for (magic, method) in [
        (&b"\x1f\x8b\x08\0"[..], "gzip"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"\x04\x22\x4d\x18\x64", "lz4"),
        (b"LZ4Block\x26", "lz4"),
        (b"\xff\x06\x00\x00sNaPpY\x00", "snappy"),
        (b"\x82SNAPPY\x00\x00", "snappy"),
        (b"BZh9", "bzip2"),
        (b"\xfd7zXZ\x00\x00", "xz"),
        (b"PK\x03\x04\x14", "zip"),
        (b"\x78\x9c\xab\x56", "zlib"),
        (b"\x78\x01\xab\x56", "zlib"),
        (b"\x78\xda\xab\x56", "zlib"),
    ] {
        let value = [magic, b"\x00\xff\x80\x01"].concat();
        assert_eq!(form(value), Some(Form::Compressed(method)), "{method}");
    }
}

#[test]
fn encodings_of_text() {
    let bom = format!("\u{feff}{SALE}");
    assert_eq!(form(&bom), Some(Form::ByteOrderMark));
    for value in [
        utf16(&bom, u16::to_le_bytes),
        utf16(&bom, u16::to_be_bytes),
        utf16(SALE, u16::to_le_bytes),
        utf16(SALE, u16::to_be_bytes),
    ] {
        assert_eq!(form(value), Some(Form::Encoding("UTF-16")));
    }
    let utf32 = |bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
        SALE.chars().map(u32::from).flat_map(bytes).collect()
    };
    assert_eq!(
        form(utf32(u32::to_le_bytes)),
        Some(Form::Encoding("UTF-32"))
    );
    assert_eq!(
        form(utf32(u32::to_be_bytes)),
        Some(Form::Encoding("UTF-32"))
    );
    let mut latin1 = SALE.as_bytes().to_vec();
    let place = SALE.find("completed").unwrap();
    latin1[place] = 0xe4;
    let Some(Form::Encoding(encoding)) = form(latin1) else {
        panic!()
    };
    assert!(encoding.contains("ISO-8859-1"));
}

#[test]
fn binary_formats() {
    let binary = |value: &[u8]| match form(value) {
        Some(Form::Binary(format)) => format,
        other => panic!("{other:?}"),
    };
    assert_eq!(binary(b"Obj\x01\x04\x14avro.codec"), "an Avro file");
    assert_eq!(binary(b"\xc3\x01\x01\x02\x03\x04"), "Avro");
    assert_eq!(
        binary(b"\xac\xed\x00\x05sr\x00\x04Sale"),
        "a serialized Java object"
    );
    assert_eq!(
        binary(b"\x0a\x02t1\x12\x02c1\x1a\x02p1\x20\x03"),
        "Protobuf"
    );
    assert_eq!(binary(b"\x86\xaetransaction_id\xa2t1\xff"), "MessagePack");
    assert_eq!(binary(b"\xa6\x6etransaction_id\x62t1\xff"), "CBOR");
    assert_eq!(
        binary(b"\x0c\x00\x00\x00\x10a\x00\x80\x00\x00\x00\x00"),
        "BSON"
    );
    assert_eq!(binary(b"\xff\x00\xfe\x01\xc0\xc1"), "binary data");
}

#[test]
fn something_before_or_behind_the_object() {
    assert_eq!(form(framed(b"\x90\x01")), Some(Form::Prefixed(2)));
    assert_eq!(form(framed(b"\x02\0\x95\0")), Some(Form::Prefixed(4)));
    assert_eq!(form(format!("shop:{SALE}")), Some(Form::Prefixed(5)));
    assert_eq!(form(format!("{SALE}\0")), Some(Form::Suffixed));
    assert_eq!(form(format!("{SALE};")), Some(Form::Suffixed));
    assert_eq!(form(&SALE[..SALE.len() - 5]), Some(Form::Truncated));
    assert_eq!(form(""), Some(Form::Empty));
}

#[test]
fn json_within_json() {
    let twice = serde_json::to_string(SALE).unwrap();
    assert_eq!(form(&twice), Some(Form::Twice));
    assert_eq!(
        form(serde_json::to_string(&twice).unwrap()),
        Some(Form::Twice)
    );
    assert_eq!(form(format!("[{SALE}]")), Some(Form::Array));
    assert_eq!(form(format!("{SALE}\n{SALE}\n")), Some(Form::Several));
    assert_eq!(form(format!("{SALE}{SALE}")), Some(Form::Several));
    assert_eq!(form("null"), Some(Form::Null));
    assert_eq!(form("7"), None);
}

#[test]
fn bytes_as_text() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let encoded = |method, holds: Option<Form>| {
        let holds = holds.map(Box::new);
        Some(Form::Encoded { method, holds })
    };
    assert_eq!(form(STANDARD.encode(SALE)), encoded("base64", None));
    assert_eq!(form(URL_SAFE_NO_PAD.encode(SALE)), encoded("base64", None));
    let text = serde_json::to_string(&STANDARD.encode(SALE)).unwrap();
    assert_eq!(form(text), encoded("base64", None));
    let gzip = STANDARD.encode(b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\x56\xff");
    assert_eq!(
        form(gzip),
        encoded("base64", Some(Form::Compressed("gzip")))
    );
    let hex: String = SALE.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(form(hex), encoded("hexadecimal", None));
    assert_eq!(form("transactioncompleted"), None, "a word");
}

#[test]
fn other_texts() {
    let text = |value: &str| match form(value) {
        Some(Form::Text(format)) => format,
        other => panic!("{value}: {other:?}"),
    };
    assert_eq!(text("<sale><id>t1</id></sale>"), "XML");
    assert_eq!(
        text("t1,c1,p1,3,2024-11-02T13:45:11,completed,PayPal"),
        "CSV"
    );
    assert!(text(&SALE.replace('"', "'")).contains("json.dumps"));
    assert!(text("{transaction_id: \"t1\"}").contains("no quotes"));
    assert!(text("transaction_id=t1&quantity=3").contains("form"));
    assert!(text("%7B%22transaction_id%22%3A").contains("URL"));
    assert_eq!(
        form("Struct{transaction_id=t1,quantity=3}"),
        Some(Form::ConnectString)
    );
    assert_eq!(
        form("{transaction_id=t1, quantity=3}"),
        Some(Form::ConnectString)
    );
    assert_eq!(form(sale(":3,", ":NaN,")), Some(Form::NotANumber));
    assert_eq!(form(sale(":3,", ":-Infinity,")), Some(Form::NotANumber));
    assert_eq!(form(sale(":3,", r#":"NaN\"NaN",x"#)), None);
}

#[test]
fn envelopes() {
    let schema = r#"{"type":"struct","fields":[]}"#;
    let connect = format!(r#"{{"schema":{schema},"payload":{SALE}}}"#);
    assert_eq!(form(connect), Some(Form::ConnectEnvelope));
    assert_eq!(
        form(format!(r#"{{"schema":null,"payload":{SALE}}}"#)),
        Some(Form::ConnectEnvelope)
    );
    let change = format!(r#"{{"before":null,"after":{SALE},"source":{{}},"op":"c","ts_ms":1}}"#);
    let in_envelope = format!(r#"{{"schema":{schema},"payload":{change}}}"#);
    let debezium = |in_envelope| Some(Form::Debezium { in_envelope });
    assert_eq!(form(change), debezium(false));
    assert_eq!(form(in_envelope), debezium(true));
    let field = |value: String| match form(value) {
        Some(Form::Envelope(_, field)) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        field(format!(
            r#"{{"specversion":"1.0","type":"sale","source":"x","id":"1","data":{SALE}}}"#
        )),
        "data"
    );
    assert_eq!(
        field(format!(
            r#"{{"operationType":"insert","fullDocument":{SALE}}}"#
        )),
        "fullDocument"
    );
    assert_eq!(
        field(format!(
            r#"{{"database":"a","table":"b","type":"insert","data":{SALE}}}"#
        )),
        "data"
    );
    assert_eq!(
        form(format!(r#"{{"event":{SALE},"sent":1}}"#)),
        Some(Form::Wrapped("event".to_owned()))
    );
    assert_eq!(
        form(format!(r#"{{"events":[{SALE}]}}"#)),
        Some(Form::Wrapped("events".to_owned()))
    );
    let text = serde_json::to_string(SALE).unwrap();
    assert_eq!(
        form(format!(r#"{{"@timestamp":"x","message":{text}}}"#)),
        Some(Form::WrappedText("message".to_owned()))
    );
}

#[test]
fn other_names_and_types() {
    let renamed = |value: String| match form(value) {
        Some(Form::Renamed(fields)) => fields,
        other => panic!("{other:?}"),
    };
    let to = |field, name: &str| vec![(field, name.to_owned())];
    assert_eq!(
        renamed(sale("\"quantity\"", "\"Quantity\"")),
        to("quantity", "Quantity")
    );
    assert_eq!(
        renamed(sale("\"quantity\"", "\"qty\"")),
        to("quantity", "qty")
    );
    assert_eq!(
        renamed(sale("\"quantity\"", "\"quantitiy\"")),
        to("quantity", "quantitiy")
    );
    assert_eq!(
        renamed(sale("\"date_time\"", "\"dateTime\"")),
        to("date_time", "dateTime")
    );
    assert_eq!(
        renamed(sale("\"status\"", "\"order_status\"")),
        to("status", "order_status")
    );
    assert_eq!(
        renamed(sale("\"transaction_id\"", "\"id\"")),
        to("transaction_id", "id")
    );
    let camel = SALE
        .replace("_id\"", "Id\"")
        .replace("date_time", "dateTime");
    assert_eq!(renamed(camel).len(), 4);

    let unknown = Form::Unknown(vec!["amount".to_owned()]);
    assert_eq!(form(sale("\"quantity\"", "\"amount\"")), Some(unknown));
    assert_eq!(form(sale(",\"quantity\":3", "")), None);
    assert_eq!(
        form(sale(":3,", ":\"3\",")),
        Some(Form::QuotedNumber("quantity"))
    );
    let time = |time| form(sale("\"2024-11-02T13:45:11\"", time));
    assert_eq!(time("1730555111000"), Some(Form::NumericTime("date_time")));
    assert_eq!(time("\"yesterday\""), None, "the reason says it");
    let product = r#"{"product_id":"p","category":"c","price":"B88=","stock_quantity":1}"#;
    assert_eq!(
        recognise("products", product.as_bytes()),
        Some(Form::EncodedDecimal("price"))
    );
    for value in [r#"{"int":3}"#, r#"{"$numberInt":"3"}"#, r#"{"N":"3"}"#] {
        let typed = form(sale(":3,", &format!(":{value},")));
        assert!(matches!(typed, Some(Form::TypedValues(_))), "{typed:?}");
    }
    let log = br#"{"log_id":"1","timestamp":"2024-11-02T13:45:11","level":"INFO"}"#;
    assert_eq!(form(log), Some(Form::OtherTopic("system_logs")));
}

#[test]
fn a_text_says_what_to_set_and_holds_no_value() {
    let says = |value: &[u8]| form(value).unwrap().to_string();
    assert!(says(b"\0\0\0\0\x01{}").contains("value.converter.schemas.enable=false"));
    assert!(says(br#"{"schema":null,"payload":{"a":"secret"}}"#).contains("schemas.enable=false"));
    assert!(says(br#"{"op":"c","after":{"a":"secret"}}"#).contains("ExtractNewRecordState"));
    let named = says(sale("\"quantity\":3", "\"quantity\\n!\":\"secret\"").as_bytes());
    assert_eq!(
        named,
        "fields seem to have other names: `quantity` is called `quantity\\n!`"
    );
    let long = format!("quantity{}", "x".repeat(10_000));
    let named = says(sale("\"quantity\"", &format!("\"{long}\"")).as_bytes());
    assert!(named.len() < 150, "{named}");
}

proptest! {
    #[test]
    fn any_bytes_have_a_form_or_none(value in prop::collection::vec(any::<u8>(), 0..300)) {
        shown(&value)?;
    }

    #[test]
    fn any_bytes_around_an_object_have_a_form_or_none(
        before in prop::collection::vec(any::<u8>(), 0..10),
        cut in 0..SALE.len(),
        damage in prop::collection::vec((0..SALE.len(), any::<u8>()), 0..4),
        behind in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut value = SALE.as_bytes().to_vec();
        for (place, byte) in damage {
            value[place] = byte;
        }
        value.truncate(SALE.len() - cut / 8);
        shown(&[before, value, behind].concat())?;
    }

    #[test]
    fn any_text_has_a_form_or_none(text in "[ \\[\\]{}\":,=&%'\\\\NI<0-9a-zäö_\u{1f600}\n]{0,80}") {
        shown(text.as_bytes())?;
        shown(serde_json::to_string(&text).unwrap().as_bytes())?;
    }
}

/// Whatever it is, it is told on one line.
fn shown(value: &[u8]) -> Result<(), TestCaseError> {
    for topic in crate::TOPICS.into_iter().chain(["unknown"]) {
        if let Some(form) = recognise(topic, value) {
            let text = form.to_string();
            prop_assert!(!text.contains('\n') && text.len() < 1_000, "{}", text);
        }
    }
    Ok(())
}
