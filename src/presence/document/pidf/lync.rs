//! `application/pidf+xml` as Lync and Skype for Business take it from gateways: one activity in the elements of a draft
//! of RFC 4480. It says that a user is on the phone; what else they know of the user stays.

use crate::presence::Composed;
use crate::presence::call::CallState;
use crate::presence::composition::lamp;
use crate::presence::document::xml;

/// Whether there is anything to say of a user.
#[must_use]
pub fn is_on_the_phone(composed: &Composed) -> bool {
    lamp(composed) == CallState::Confirmed
}

/// Appends a whole document about `entity`, a URI that is not yet XML-escaped: that the user is on the phone.
pub fn write(out: &mut Vec<u8>, entity: &str) {
    out.extend_from_slice(xml::DECLARATION);
    out.extend_from_slice(b"<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" ");
    out.extend_from_slice(b"xmlns:ep=\"urn:ietf:params:xml:ns:pidf:status:rpid-status\" entity=\"");
    xml::write_escaped(out, entity.as_bytes());
    out.extend_from_slice(b"\">\n<tuple id=\"0\">\n<status>\n<basic>open</basic>\n");
    out.extend_from_slice(
        b"<ep:activities>\n<ep:activity>on-the-phone</ep:activity>\n</ep:activities>\n",
    );
    out.extend_from_slice(b"</status>\n</tuple>\n</presence>\n");
}
