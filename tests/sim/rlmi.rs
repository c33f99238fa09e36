//! Bodies of list subscriptions as read by the simulated phones (RFC 4662 §5; W:B5.3-B5.8): plain
//! text, strict, without the engine's code.

use crate::documents::{attribute, element};

/// The body of one NOTIFY of a list.
#[derive(Debug)]
pub(crate) struct ListBody<'a> {
    pub(crate) uri: &'a str,
    pub(crate) version: u32,
    pub(crate) is_full: bool,
    pub(crate) resources: Vec<Resource<'a>>,
}

/// One resource of it.
#[derive(Debug)]
pub(crate) struct Resource<'a> {
    pub(crate) uri: &'a str,
    pub(crate) instance: Option<Instance<'a>>,
}

/// The instance of a resource.
#[derive(Debug)]
pub(crate) struct Instance<'a> {
    pub(crate) id: &'a str,
    pub(crate) state: InstanceState<'a>,
    /// The MIME part with its document.
    pub(crate) document: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstanceState<'a> {
    Active,
    Pending,
    /// The reason of a terminated instance.
    Terminated(&'a str),
}

struct Part<'a> {
    content_id: &'a str,
    content_type: &'a str,
    body: &'a str,
    is_named: bool,
}

/// Reads a body with that Content-Type; the error says what is wrong with it.
pub(crate) fn read<'a>(content_type: &'a str, body: &'a str) -> Result<ListBody<'a>, &'static str> {
    if quoted(content_type, "type") != Some("application/rlmi+xml") {
        return Err("a multipart body that is not a list");
    }
    let start = quoted(content_type, "start").ok_or("a multipart without start")?;
    let mut parts = parts(content_type, body)?;
    let root = parts.first_mut().ok_or("a multipart without parts")?;
    let start = start.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    if start != Some(root.content_id) || root.content_type != "application/rlmi+xml" {
        return Err("the first part is not the root of the multipart body");
    }
    root.is_named = true;
    let (tag, mut rest) = element(root.body, "list").ok_or("no list")?;
    let version = attribute(tag, "version").ok_or("a list without version")?;
    let mut list = ListBody {
        uri: attribute(tag, "uri").ok_or("a list without uri")?,
        version: version.parse().map_err(|_| "a version that is no number")?,
        is_full: match attribute(tag, "fullState") {
            Some("true") => true,
            Some("false") => false,
            _ => return Err("a list that is neither full nor partial"),
        },
        resources: Vec::new(),
    };
    while let Some((tag, content)) = element(rest, "resource") {
        let resource = read_resource(tag, content, &mut parts)?;
        if list.resources.iter().any(|known| known.uri == resource.uri) {
            return Err("a resource twice");
        }
        list.resources.push(resource);
        let end = content.as_ptr() as usize - rest.as_ptr() as usize + content.len();
        rest = &rest[end..];
    }
    if parts.iter().any(|part| !part.is_named) {
        return Err("a part that no resource refers to");
    }
    Ok(list)
}

fn read_resource<'a>(
    tag: &'a str,
    content: &'a str,
    parts: &mut [Part<'a>],
) -> Result<Resource<'a>, &'static str> {
    let uri = attribute(tag, "uri").ok_or("a resource without uri")?;
    element(content, "name")
        .filter(|(_, name)| !name.is_empty())
        .ok_or("a resource without a name")?;
    if content.matches("<instance ").count() > 1 {
        return Err("more than one instance");
    }
    let Some((tag, _)) = element(content, "instance") else {
        return Ok(Resource {
            uri,
            instance: None,
        });
    };
    let id = attribute(tag, "id").ok_or("an instance without id")?;
    if id.is_empty() || id.len() > 8 {
        return Err("an instance id that Cisco phones reject");
    }
    let state = match (attribute(tag, "state"), attribute(tag, "reason")) {
        (Some("active"), None) => InstanceState::Active,
        (Some("pending"), None) => InstanceState::Pending,
        (Some("terminated"), Some(reason)) => InstanceState::Terminated(reason),
        _ => return Err("an instance without a state, or with a reason where none belongs"),
    };
    let document = match attribute(tag, "cid") {
        None => None,
        Some(cid) => {
            let part = parts.iter_mut().find(|part| part.content_id == cid);
            let part = part.ok_or("a cid without its part")?;
            if std::mem::replace(&mut part.is_named, true) {
                return Err("two parts with one Content-ID");
            }
            Some(part.body)
        }
    };
    Ok(Resource {
        uri,
        instance: Some(Instance {
            id,
            state,
            document,
        }),
    })
}

/// All parts, in order.
fn parts<'a>(content_type: &'a str, body: &'a str) -> Result<Vec<Part<'a>>, &'static str> {
    let boundary = content_type
        .split(';')
        .find_map(|parameter| parameter.trim().strip_prefix("boundary="))
        .ok_or("a multipart without boundary")?;
    if boundary.len() > 10 {
        return Err("a boundary that Cisco phones reject");
    }
    let (open, close) = (format!("--{boundary}\r\n"), format!("--{boundary}--\r\n"));
    let inside = body
        .strip_prefix(open.as_str())
        .and_then(|body| body.strip_suffix(close.as_str()))
        .ok_or("a multipart without its delimiters")?;
    let mut parts: Vec<Part<'_>> = Vec::new();
    for part in inside.split(open.as_str()) {
        let part = part.strip_suffix("\r\n").ok_or("a part without its end")?;
        let (headers, body) = part.split_once("\r\n\r\n").ok_or("a part without head")?;
        let header = |name: &str| {
            let mut lines = headers.split("\r\n");
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let content_id = header("Content-ID").ok_or("a part without Content-ID")?;
        let content_id = content_id
            .strip_prefix('<')
            .and_then(|id| id.strip_suffix('>'))
            .ok_or("a Content-ID without brackets")?;
        if content_id.len() > 54 || parts.iter().any(|known| known.content_id == content_id) {
            return Err("a Content-ID that is too long, or comes twice");
        }
        parts.push(Part {
            content_id,
            content_type: header("Content-Type").ok_or("a part without Content-Type")?,
            body,
            is_named: false,
        });
    }
    Ok(parts)
}

/// The value of `;name="value"`.
fn quoted<'a>(content_type: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = content_type.split_once(&format!(";{name}=\""))?;
    value.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str =
        "multipart/related;type=\"application/rlmi+xml\";start=\"<r0@h>\";boundary=b";

    fn body(resources: &str, parts: &[&str]) -> String {
        let mut text = format!(
            "--b\r\nContent-ID: <r0@h>\r\nContent-Type: application/rlmi+xml\r\n\r\n<?xml \
             version=\"1.0\"?>\n<list uri=\"sip:l@h\" version=\"3\" \
             fullState=\"true\">\n{resources}</list>\n\r\n"
        );
        for part in parts {
            text.push_str(&format!(
                "--b\r\nContent-ID: <{part}>\r\nContent-Type: x/y\r\n\r\nbody\r\n"
            ));
        }
        text + "--b--\r\n"
    }

    fn resource(uri: &str, instance: &str) -> String {
        format!("<resource uri=\"{uri}\">\n<name>n</name>\n{instance}</resource>\n")
    }

    #[test]
    fn a_list_is_read() {
        let active = "<instance id=\"1\" state=\"active\" cid=\"r1@h\"/>\n";
        let resources = resource("sip:a@h", active) + &resource("sip:b@h", "");
        let body = body(&resources, &["r1@h"]);
        let list = read(TYPE, &body).unwrap();
        assert_eq!((list.uri, list.version, list.is_full), ("sip:l@h", 3, true));
        let [a, b] = &list.resources[..] else {
            panic!("{list:?}")
        };
        assert_eq!((a.uri, b.uri), ("sip:a@h", "sip:b@h"));
        let instance = a.instance.as_ref().unwrap();
        assert_eq!(instance.state, InstanceState::Active);
        assert_eq!(instance.document, Some("body"));
        assert!(b.instance.is_none());
    }

    #[test]
    fn parts_and_names_must_match() {
        let active = "<instance id=\"1\" state=\"active\" cid=\"r1@h\"/>\n";
        let one = resource("sip:a@h", active);
        let fault = |resources: &str, parts: &[&str]| read(TYPE, &body(resources, parts)).err();
        assert_eq!(fault(&one, &[]), Some("a cid without its part"));
        let unnamed = fault(&one, &["r1@h", "r2@h"]);
        assert_eq!(unnamed, Some("a part that no resource refers to"));
        let twice = one.clone() + &resource("sip:b@h", active);
        assert_eq!(
            fault(&twice, &["r1@h"]),
            Some("two parts with one Content-ID")
        );
        assert_eq!(
            fault(&(one.clone() + &one), &[]),
            Some("a cid without its part")
        );
    }
}
