//! The checks admission is made of: each reads one header and says whether the request may go on
//! (W:A1).

use crate::presence::Aor;
use crate::presence::document::Format;
use crate::presence::profile::Profile;
use crate::presence::subscription::Package;
use crate::shard::directory::Directory;
use crate::shard::respond::Refusal;
use crate::shard::respond::unsupported_option_tags;
use crate::sip::Fault;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::Status;
use crate::sip::Uri;
use crate::sip::header::Event;
use crate::sip::header::MediaRange;
use crate::sip::header::Parameters;
use crate::sip::header::accepts;
use crate::sip::header::delta_seconds;
use crate::sip::header::list_items;

/// The address of record a URI means, when it is of a domain we serve.
pub(crate) fn address_of_record(uri: &[u8], directory: &Directory) -> Option<Aor> {
    let uri = Uri::parse(uri).ok()?;
    let mut host = String::with_capacity(uri.host.len());
    uri.write_host(&mut host);
    let domain = directory.domain(&host)?;
    let mut user = String::with_capacity(uri.user.map_or(0, <[u8]>::len));
    uri.write_user(&mut user)
        .then(|| Aor::new(&user, &domain.name))
}

/// The address of record a URI means, of whatever domain; of ours by its own name.
pub(crate) fn any_address_of_record(uri: &[u8], directory: &Directory) -> Option<Aor> {
    if let Some(aor) = address_of_record(uri, directory) {
        return Some(aor);
    }
    let uri = Uri::parse(uri).ok()?;
    let mut host = String::with_capacity(uri.host.len());
    uri.write_host(&mut host);
    let mut user = String::with_capacity(uri.user.map_or(0, <[u8]>::len));
    uri.write_user(&mut user).then(|| Aor::new(&user, &host))
}

/// Whether somebody of that name exists (W:A1.18).
pub(crate) fn check_exists<'d>(aor: &Aor, directory: &Directory) -> Result<(), Refusal<'d>> {
    if directory.exists(aor) {
        Ok(())
    } else {
        Err(Refusal::Plain(Status::NOT_FOUND))
    }
}

/// Whether a header that lists tokens names one, without case.
pub(crate) fn has_token(message: &Message<'_>, name: HeaderName, token: &[u8]) -> bool {
    message
        .headers(name)
        .flat_map(list_items)
        .any(|item| item.eq_ignore_ascii_case(token))
}

/// The media type of the body, `kind/subtype` in lower case; empty when there is none.
pub(crate) fn content_type(message: &Message<'_>) -> String {
    let range = message
        .header(HeaderName::ContentType)
        .and_then(MediaRange::parse);
    range.map_or_else(String::new, |range| {
        let octets = [range.kind, b"/", range.subtype].concat();
        String::from_utf8_lossy(&octets.to_ascii_lowercase()).into_owned()
    })
}

/// Require names nothing we do not know (W:A1.5).
pub(crate) fn check_extensions<'d>(message: &Message<'_>) -> Result<(), Refusal<'d>> {
    if unsupported_option_tags(message).next().is_some() {
        Err(Refusal::Extension)
    } else {
        Ok(())
    }
}

/// The event package of a request (W:A1.7).
pub(crate) fn event_of<'m, 'd>(
    message: &Message<'m>,
) -> Result<(Package, Event<'m>, &'m [u8]), Refusal<'d>> {
    let value = message.header(HeaderName::Event).ok_or(Refusal::BadEvent)?;
    let event = Event::parse(value).ok_or(Fault::Invalid(HeaderName::Event))?;
    if value.len() > EVENT_OCTETS_MAX {
        return Err(Fault::Invalid(HeaderName::Event).into());
    }
    let package = Package::from_token(event.package).ok_or(Refusal::BadEvent)?;
    Ok((package, event, value))
}

/// Octets of an Event header, which is stored and echoed.
const EVENT_OCTETS_MAX: usize = 255;

/// Expires in seconds; None when absent (W:A1.12).
pub(crate) fn expires_of<'d>(message: &Message<'_>) -> Result<Option<u32>, Refusal<'d>> {
    let Some(value) = message.header(HeaderName::Expires) else {
        return Ok(None);
    };
    delta_seconds(value)
        .map(Some)
        .ok_or(Refusal::Fault(Fault::Invalid(HeaderName::Expires)))
}

/// The first of the package's documents that the peer can read (W:A1.10).
pub(crate) fn accepted_format<'d>(
    message: &Message<'_>,
    package: Package,
    profile: &Profile,
) -> Result<Format, Refusal<'d>> {
    let offered = Format::of(package);
    let is_present = message.header(HeaderName::Accept).is_some();
    let is_accepted = |format: &&Format| {
        let (kind, subtype) = format.content_type().split_once('/').unwrap_or_default();
        let ranges = message
            .headers(HeaderName::Accept)
            .flat_map(list_items)
            .filter_map(MediaRange::parse);
        accepts(ranges, kind, subtype)
    };
    let xpidf = offered.iter().find(|format| **format == Format::Xpidf);
    let format = if is_present {
        xpidf
            .filter(|format| profile.prefers_xpidf && is_accepted(format))
            .or_else(|| offered.iter().find(is_accepted))
    } else {
        offered.first()
    };
    format.copied().ok_or(Refusal::NotAcceptable(package))
}

/// No encoding of the body but identity (W:A1.9).
pub(crate) fn check_encoding<'d>(message: &Message<'_>) -> Result<(), Refusal<'d>> {
    let mut codings = message
        .headers(HeaderName::ContentEncoding)
        .flat_map(list_items);
    if codings.any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        Err(Refusal::Encoding)
    } else {
        Ok(())
    }
}

/// Whether a body that we do not understand may be ignored: `Content-Disposition:
/// ...;handling=optional` (W:A1.9).
pub(crate) fn is_body_optional(message: &Message<'_>) -> bool {
    message
        .header(HeaderName::ContentDisposition)
        .is_some_and(|value| {
            let parameters = value
                .iter()
                .position(|octet| *octet == b';')
                .and_then(|at| value.get(at + 1..));
            let parameters = Parameters(parameters.unwrap_or_default());
            parameters
                .get("handling")
                .is_some_and(|handling| handling.eq_ignore_ascii_case(b"optional"))
        })
}

/// A fixed hash, so that every shard and every process names the same shard.
pub(crate) fn fnv1a(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
