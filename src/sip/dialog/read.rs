//! Reads the parts of a message that a dialog keeps: its only Contact, the addresses, the route
//! set. Each is appended to the dialog's text; later uses find it by its span.

use serde::{Deserialize, Serialize};

use crate::sip::dialog::URI_OCTETS_MAX;
use crate::sip::header::{NameAddr, list_items};
use crate::sip::message::RECORD_ROUTES_MAX;
use crate::sip::uri::Scheme;
use crate::sip::{Fault, HeaderName, Message, Uri, emit};

/// Maximum octets of a Call-ID; a longer one gets 400.
const CALL_ID_OCTETS_MAX: usize = 512;
/// Maximum octets of a From or To, with its tag; a longer one gets 400.
const ADDRESS_OCTETS_MAX: usize = 1024;
/// Maximum octets of a route set; a longer one gets 400.
const ROUTES_OCTETS_MAX: usize = 2048;

/// A piece of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) start: u16,
    pub(super) end: u16,
}

impl Span {
    /// The span of `part` within `text`. The text must be below 64 KiB. Empty if `part` is not a
    /// piece of `text`.
    fn of(part: &[u8], text: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        let is_piece = !part.is_empty()
            && start
                .checked_add(part.len())
                .is_some_and(|end| end <= text.len());
        if is_piece {
            Self {
                start: start as u16,
                end: (start + part.len()) as u16,
            }
        } else {
            Self::default()
        }
    }
}

/// The first Contact of a message, parsed: the remote target of its dialog if it is the only one (RFC
/// 3261 §12.1.1).
#[derive(Clone, Copy, Debug)]
pub struct Contact<'a> {
    /// Its URI.
    pub uri: Uri<'a>,
    /// The device, if the Contact names it by `+sip.instance`, and which of its flows this is (`reg-id`,
    /// RFC 5626 §4.1).
    pub instance: Option<(&'a [u8], &'a [u8])>,
    /// The part of it that is allowed in a request line.
    target: &'a [u8],
    is_only: bool,
}

impl<'a> Contact<'a> {
    /// Reads the first Contact of a message. Returns a fault if there is none, or if it is no sip or
    /// sips URI or too long.
    pub fn of(message: &Message<'a>) -> Result<Self, Fault> {
        let mut items = message.headers(HeaderName::Contact).flat_map(list_items);
        let first = items.next().ok_or(Fault::Missing(HeaderName::Contact))?;
        let is_only = items.next().is_none();
        Self::read(first, is_only).ok_or(Fault::Invalid(HeaderName::Contact))
    }

    fn read(item: &'a [u8], is_only: bool) -> Option<Self> {
        let contact = NameAddr::parse(item)?;
        let (uri, target) = request_uri(contact.uri)?;
        let instance = contact.parameters.get("+sip.instance");
        let flow = contact.parameters.get("reg-id").unwrap_or_default();
        (target.len() <= URI_OCTETS_MAX).then_some(Self {
            uri,
            instance: instance.map(|instance| (instance, flow)),
            target,
            is_only,
        })
    }

    /// The remote target; a fault if there are several Contacts.
    pub(super) fn target(&self) -> Result<&'a [u8], Fault> {
        match self.is_only {
            true => Ok(self.target),
            false => Err(Fault::Invalid(HeaderName::Contact)),
        }
    }
}

/// A sip or sips URI, and the part of it that is allowed in a request line: without headers (RFC 3261
/// §19.1.1). No URI that can be parsed contains an octet that could end the line, or the angle brackets
/// around it.
fn request_uri(text: &[u8]) -> Option<(Uri<'_>, &[u8])> {
    let uri = Uri::parse(text).ok()?;
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
        return None;
    }
    let text = text.strip_suffix(uri.headers)?;
    Some((uri, text.strip_suffix(b"?").unwrap_or(text)))
}

/// Whether a URI is a `sips:` URI.
pub(super) fn is_sips(uri: &[u8]) -> bool {
    let scheme = uri.get(..5);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"))
}

/// Whether the first hop that a request names for its dialog, the top Record-Route or else its Contact,
/// is a `sips:` URI (RFC 3261 §12.1.1).
#[must_use]
pub fn names_secure_hop(request: &Message<'_>) -> bool {
    let first = |name| request.headers(name).flat_map(list_items).next();
    let hop = first(HeaderName::RecordRoute).or_else(|| first(HeaderName::Contact));
    hop.and_then(NameAddr::parse)
        .is_some_and(|hop| is_sips(hop.uri))
}

/// Appends the Call-ID. A Call-ID with a fold is malformed, and could not be echoed unchanged.
pub(super) fn push_call_id(text: &mut Vec<u8>, request: &Message<'_>) -> Result<(), Fault> {
    let call_id = request.call_id();
    if call_id.is_empty() {
        return Err(Fault::Missing(HeaderName::CallId));
    }
    if call_id.len() > CALL_ID_OCTETS_MAX || call_id.iter().any(u8::is_ascii_control) {
        return Err(Fault::Invalid(HeaderName::CallId));
    }
    text.extend_from_slice(call_id);
    Ok(())
}

/// Spans of a From or To.
pub(super) struct AddressSpans {
    pub(super) uri: Span,
    pub(super) tag: Span,
}

/// Appends a From or To as received.
pub(super) fn push_address(
    text: &mut Vec<u8>,
    request: &Message<'_>,
    name: HeaderName,
) -> Result<AddressSpans, Fault> {
    let value = request.header(name).ok_or(Fault::Missing(name))?;
    let start = text.len();
    emit::unfolded(text, value);
    end_of(text)?;
    if text.len() - start > ADDRESS_OCTETS_MAX {
        return Err(Fault::Invalid(name));
    }
    let address = text
        .get(start..)
        .and_then(NameAddr::parse)
        .ok_or(Fault::Invalid(name))?;
    let tag = address.tag().unwrap_or_default();
    Ok(AddressSpans {
        uri: Span::of(address.uri, text),
        tag: Span::of(tag, text),
    })
}

/// Appends our tag as a parameter.
pub(super) fn push_tag(text: &mut Vec<u8>, tag: &[u8]) -> Result<Span, Fault> {
    text.extend_from_slice(b";tag=");
    let start = end_of(text)?;
    text.extend_from_slice(tag);
    Ok(Span {
        start,
        end: end_of(text)?,
    })
}

/// Spans of a route set.
pub(super) struct RouteSpans {
    pub(super) first: Span,
    pub(super) second: u16,
    pub(super) first_is_strict: bool,
}

/// Appends the Record-Routes in order, which is the route set of a UAS (RFC 3261 §12.1.1).
pub(super) fn push_routes(text: &mut Vec<u8>, request: &Message<'_>) -> Result<RouteSpans, Fault> {
    let start = end_of(text)?;
    let mut routes = RouteSpans {
        first: Span { start, end: start },
        second: start,
        first_is_strict: false,
    };
    for (position, item) in request
        .headers(HeaderName::RecordRoute)
        .flat_map(list_items)
        .enumerate()
    {
        if position >= RECORD_ROUTES_MAX {
            return Err(Fault::TooManyHeaders);
        }
        if position > 0 {
            text.push(b',');
        }
        let item_start = text.len();
        emit::unfolded(text, item);
        let end = end_of(text)?;
        if usize::from(end - start) > ROUTES_OCTETS_MAX {
            return Err(Fault::Invalid(HeaderName::RecordRoute));
        }
        let route = text.get(item_start..).and_then(NameAddr::parse);
        let route = route.ok_or(Fault::Invalid(HeaderName::RecordRoute))?;
        let (parsed, uri) =
            request_uri(route.uri).ok_or(Fault::Invalid(HeaderName::RecordRoute))?;
        match position {
            0 => {
                // `Record-Route: sip:p;lr` without brackets is malformed, but unambiguous: lr
                // belongs to the URI.
                let is_loose =
                    parsed.parameter("lr").is_some() || route.parameters.get("lr").is_some();
                let first = Span::of(uri, text);
                routes = RouteSpans {
                    first,
                    second: end,
                    first_is_strict: !is_loose,
                };
            }
            1 => routes.second = item_start as u16,
            _ => {}
        }
    }
    Ok(routes)
}

/// The octets needed for the dialog's text, or a few more.
pub(super) fn text_octets(request: &Message<'_>, local_tag: &[u8], target: &[u8]) -> usize {
    let address = |name| request.header(name).map_or(0, <[u8]>::len);
    let routes: usize = request
        .headers(HeaderName::RecordRoute)
        .map(|value| value.len() + 1)
        .sum();
    let identifiers = request.call_id().len() + address(HeaderName::From) + address(HeaderName::To);
    identifiers + ";tag=".len() + local_tag.len() + routes + target.len()
}

pub(super) fn end_of(text: &[u8]) -> Result<u16, Fault> {
    u16::try_from(text.len()).map_err(|_| Fault::TooLarge)
}
