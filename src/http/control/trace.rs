//! `POST /trace/begin`, `GET /trace` and `POST /trace/end`: the messages of one person or phone, live.

use std::net::{IpAddr, SocketAddr};

use crate::directory::Directory;
use crate::http::control::{ControlRefusal, ControlResult, Form, aor};
use crate::http::engine::Engine;
use crate::http::representation::trace::{TraceBegun, TraceEnded, TraceProgress};
use crate::http::site::Site;
use crate::trace::{Person, Phone, Target, TraceId};

/// Begins a trace.
pub(crate) async fn begin<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let (of, directory) = (form.required("of")?, site.directory());
    let target = target(of, &directory)?;
    let remark = remark(&target, &directory);
    let id = site.engine.begin_trace(target)?;
    tracing::info!("the operator began a trace");
    tracing::debug!(of, "the target of the trace");
    Ok(Box::new(TraceBegun { id, remark }))
}

/// What is new.
pub(crate) async fn read<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let report = site.engine.read_trace(id(&form)?);
    let report = report.ok_or(ControlRefusal::NoTrace)?;
    Ok(Box::new(TraceProgress(report)))
}

/// Ends a trace.
pub(crate) async fn end<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    site.engine.end_trace(id(&form)?);
    Ok(Box::new(TraceEnded))
}

fn id(form: &Form) -> Result<TraceId, ControlRefusal> {
    let id = u64::from_str_radix(form.required("id")?, 16);
    id.map(TraceId).map_err(|_| ControlRefusal::NoTrace)
}

/// A person of any domain, or a phone.
fn target(text: &str, directory: &Directory) -> Result<Target, ControlRefusal> {
    if let Some(phone) = phone(text) {
        return Ok(Target::Phone(phone));
    }
    let aor = aor::of_any_domain(text, directory).ok_or(ControlRefusal::NoTarget)?;
    let names = directory.names_of(aor.domain());
    Ok(Target::Person(Person::new(aor, &names)))
}

/// A remark for an operator who may have mistyped the address.
fn remark(target: &Target, directory: &Directory) -> Option<String> {
    let aor = target.aor()?;
    if directory.domain(aor.domain()).is_none() {
        Some(format!("the domain of {aor} is not served here"))
    } else if !directory.exists(aor) {
        Some(format!("{aor} is not an account, list, orbit or resource"))
    } else {
        None
    }
}

/// Reads `10.0.0.9`, `10.0.0.9:5060`, `2001:db8::9`, `[2001:db8::9]:5060`.
fn phone(text: &str) -> Option<Phone> {
    let address: Option<SocketAddr> = text.parse().ok();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let ip: IpAddr = match address {
        Some(address) => address.ip(),
        None => bare.parse().ok()?,
    };
    Some(Phone {
        ip: ip.to_canonical(),
        port: address.map(|address| address.port()),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_an_address_with_or_without_a_port() {
        let read = |text| phone(text).map(|phone| (phone.ip.to_string(), phone.port));
        let as_read = |ip: &str, port| Some((ip.to_owned(), port));
        assert_eq!(read("10.0.0.9"), as_read("10.0.0.9", None));
        assert_eq!(read("10.0.0.9:5060"), as_read("10.0.0.9", Some(5060)));
        assert_eq!(read("::ffff:10.0.0.9"), as_read("10.0.0.9", None));
        assert_eq!(read("2001:db8::9"), as_read("2001:db8::9", None));
        assert_eq!(read("[2001:db8::9]"), as_read("2001:db8::9", None));
        assert_eq!(read("[2001:db8::9]:5"), as_read("2001:db8::9", Some(5)));
        assert_eq!(read("123@abc.com"), None);
        let directory = Directory::default();
        assert!(matches!(
            target("sip:123@abc.com", &directory),
            Ok(Target::Person(_))
        ));
        let unserved = target("123@abc.com", &directory).unwrap();
        let remark = remark(&unserved, &directory);
        assert_eq!(
            remark.as_deref(),
            Some("the domain of 123@abc.com is not served here")
        );
        let refused = target("abc.com", &directory).unwrap_err();
        assert_eq!(refused, ControlRefusal::NoTarget);
    }
}
