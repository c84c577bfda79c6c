//! From a text to its statements.

use crate::oracle::parse_time;
use mongodb::bson::{Bson, DateTime};

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The name that its result is given.
    pub name: Option<String>,
    /// What it computes.
    pub expression: Expression,
}

/// Something that has a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A text, a number, a date …
    Constant(Bson),
    /// `[a, b]`
    List(Vec<Expression>),
    /// `{a: b}`
    Object(Vec<(String, Expression)>),
    /// What was given this name before.
    Name(String),
    /// `a.b`
    Field(Box<Expression>, String),
    /// `a.b(c, d)`
    Call(Box<Expression>, String, Vec<Expression>),
}

/// Reads statements.
///
/// # Errors
/// With what cannot be read, and the text from there on.
pub fn parse(text: &str) -> Result<Vec<Statement>, String> {
    let mut reader = Reader { rest: text };
    let mut statements = Vec::new();
    while !reader.is_at_end() {
        statements.push(reader.statement()?);
        while reader.takes(";") {}
    }
    Ok(statements)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn is_at_end(&mut self) -> bool {
        self.pass_blanks();
        self.rest.is_empty()
    }

    fn pass_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix("//") {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }

    /// Takes a sign, if it comes next.
    fn takes(&mut self, sign: &str) -> bool {
        self.pass_blanks();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        match self.takes(sign) {
            true => Ok(()),
            false => Err(self.complaint(sign)),
        }
    }

    fn complaint(&self, wanted: &str) -> String {
        let rest: String = self.rest.chars().take(40).collect();
        format!("expected {wanted} before {rest:?}")
    }

    fn word(&mut self) -> Option<&'a str> {
        self.pass_blanks();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        let (word, rest) = split_at_end(self.rest, is_part);
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    fn name(&mut self) -> Result<String, String> {
        match self.word() {
            Some(word) => Ok(word.to_owned()),
            None => Err(self.complaint("a name")),
        }
    }

    fn statement(&mut self) -> Result<Statement, String> {
        let before = self.rest;
        let mut name = None;
        if self.word() == Some("const") {
            name = Some(self.name()?);
            self.expect("=")?;
        } else {
            self.rest = before;
        }
        Ok(Statement {
            name,
            expression: self.expression()?,
        })
    }

    fn expression(&mut self) -> Result<Expression, String> {
        let mut whole = self.first()?;
        while self.takes(".") {
            let name = self.name()?;
            whole = match self.takes("(") {
                true => Expression::Call(Box::new(whole), name, self.list(")")?),
                false => Expression::Field(Box::new(whole), name),
            };
        }
        Ok(whole)
    }

    /// An expression as far as to the first dot.
    fn first(&mut self) -> Result<Expression, String> {
        if self.takes("[") {
            return Ok(Expression::List(self.list("]")?));
        }
        if self.takes("{") {
            return self.object();
        }
        if self.rest.starts_with(['"', '\'']) {
            return Ok(Expression::Constant(Bson::String(self.text()?)));
        }
        if let Some(word) = self.word() {
            return Ok(match word {
                "true" => Expression::Constant(Bson::Boolean(true)),
                "false" => Expression::Constant(Bson::Boolean(false)),
                "null" => Expression::Constant(Bson::Null),
                "ISODate" | "Long" => Expression::Constant(self.made(word)?),
                _ => Expression::Name(word.to_owned()),
            });
        }
        self.number().map(Expression::Constant)
    }

    /// What follows `ISODate` or `Long`.
    fn made(&mut self, word: &str) -> Result<Bson, String> {
        self.expect("(")?;
        self.pass_blanks();
        let text = self.text()?;
        self.expect(")")?;
        let value = match word {
            "Long" => text.parse().ok().map(Bson::Int64),
            _ => parse_time(&text).map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
        };
        value.ok_or(format!("{word}({text:?})"))
    }

    fn list(&mut self, end: &str) -> Result<Vec<Expression>, String> {
        let mut list = Vec::new();
        while !self.takes(end) {
            if !list.is_empty() {
                self.expect(",")?;
                if self.takes(end) {
                    break;
                }
            }
            list.push(self.expression()?);
        }
        Ok(list)
    }

    fn object(&mut self) -> Result<Expression, String> {
        let mut fields = Vec::new();
        while !self.takes("}") {
            if !fields.is_empty() {
                self.expect(",")?;
                if self.takes("}") {
                    break;
                }
            }
            self.pass_blanks();
            let name = match self.rest.starts_with(['"', '\'']) {
                true => self.text()?,
                false => self.name()?,
            };
            self.expect(":")?;
            fields.push((name, self.expression()?));
        }
        Ok(Expression::Object(fields))
    }

    fn text(&mut self) -> Result<String, String> {
        let mut chars = self.rest.chars();
        let quote = chars.next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or_else(|| self.complaint("a text"))?;
        let mut text = String::new();
        loop {
            match chars.next() {
                Some('\\') => match chars.next() {
                    Some(c @ ('\\' | '"' | '\'')) => text.push(c),
                    // Others mean more than themselves to a shell.
                    _ => return Err(self.complaint("no such escape")),
                },
                Some('\n') | None => return Err(self.complaint("the end of a text")),
                Some(c) if c == quote => break,
                Some(c) => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }

    fn number(&mut self) -> Result<Bson, String> {
        let (number, rest) = split_at_end(self.rest, |c| c.is_ascii_digit() || "-.".contains(c));
        let value = match number.parse() {
            Ok(integer) => Some(Bson::Int32(integer)),
            Err(_) => number.parse().ok().map(Bson::Double),
        };
        let value = value.ok_or_else(|| self.complaint("an expression"))?;
        self.rest = rest;
        Ok(value)
    }
}

/// A text behind its first characters that are `part` of something.
fn split_at_end(text: &str, part: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(value: impl Into<Bson>) -> Expression {
        Expression::Constant(value.into())
    }

    fn only(text: &str) -> Expression {
        let statements = parse(text).unwrap();
        assert_eq!(statements.len(), 1, "{text}");
        statements[0].expression.clone()
    }

    #[test]
    fn statements_with_names_and_comments() {
        let statements = parse(
            "// First\nconst one = db.sales // of all\n  .find({}, {_id: 0})\n  .limit(1)\none.field; db.x",
        )
        .unwrap();
        let names: Vec<_> = statements.iter().map(|s| s.name.as_deref()).collect();
        assert_eq!(names, [Some("one"), None, None]);
        let db = || Box::new(Expression::Name("db".to_owned()));
        let sales = Box::new(Expression::Field(db(), "sales".to_owned()));
        let projection = Expression::Object(vec![("_id".to_owned(), constant(0))]);
        let arguments = vec![Expression::Object(vec![]), projection];
        let found = Box::new(Expression::Call(sales, "find".to_owned(), arguments));
        assert_eq!(
            statements[0].expression,
            Expression::Call(found, "limit".to_owned(), vec![constant(1)])
        );
    }

    #[test]
    fn values() {
        assert_eq!(
            only("[1, -2.5, \"a\\\\S\", 'b', true, null,]"),
            Expression::List(vec![
                constant(1),
                constant(-2.5),
                constant("a\\S"),
                constant("b"),
                constant(true),
                constant(Bson::Null),
            ])
        );
        assert_eq!(only("Long(\"5\")"), constant(5i64));
        assert_eq!(
            only("ISODate(\"1970-01-01T00:00:01.500Z\")"),
            constant(DateTime::from_millis(1500))
        );
        assert_eq!(
            only("{\"a.b\": {$lt: x.y}}"),
            Expression::Object(vec![(
                "a.b".to_owned(),
                Expression::Object(vec![(
                    "$lt".to_owned(),
                    Expression::Field(Box::new(Expression::Name("x".to_owned())), "y".to_owned()),
                )]),
            )])
        );
    }

    #[test]
    fn what_it_does_not_know_is_an_error() {
        for text in [
            "let a = 1",
            "db.x.find(",
            "db.x.find({a 1})",
            "\"a\nb\"",
            "\"\\n\"",
            "a + b",
            "ISODate(\"yesterday\")",
            "() => 1",
            "1.2.3",
        ] {
            assert!(parse(text).is_err(), "{text}: {:?}", parse(text));
        }
    }
}
