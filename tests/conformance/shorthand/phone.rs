//! The phones: a `Phone:` line of the scene, and the patterns of the identifiers that the phone
//! chooses.
//!
//! ```text
//! Phone: 9 at 10.0.0.7:5060 udp
//! Phone: ann at 10.0.0.8:5062 tcp aor=<sip:ann@xyz.com> contact=<sip:p1@10.0.0.8> call=a{n}@phone tag=w-a{n} branch=s{n}-{q}
//! Phone: bob at 10.0.0.9:5060 udp shard=1
//! Phone: eve at 10.0.0.5:40001 tcp listens=10.0.0.5:5060
//! ```
//!
//! A phone that listens says so in its Contact. Once we have opened a stream to it, it is there.
//!
//! In the three patterns, `{n}` is the next number that no Call-ID of this pattern has, `{q}` the
//! CSeq, `{r}` the next number that no branch of this pattern has. `9` and `pbx` exist without a
//! line.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::dialogue::Peer;
use crate::reading::peer;

/// A phone or PBX.
#[derive(Clone, Debug)]
pub(crate) struct Phone {
    /// Its name in sentences.
    pub(crate) name: String,
    /// Its address.
    pub(crate) peer: Peer,
    /// `<sip:9@abc.com>`, if given in the line.
    aor: Option<String>,
    /// `<sip:9@10.0.0.7:5060>`, if given in the line.
    contact: Option<String>,
    /// Where it accepts streams.
    pub(crate) listens: Option<SocketAddr>,
    call: String,
    tag: String,
    branch: String,
    /// The shard that receives its messages unless a sentence says otherwise.
    pub(crate) shard: usize,
}

/// The default patterns of a phone.
const CALL: &str = "c{n}@phone";
/// The phones that exist without a line.
const EVERYWHERE: [&str; 2] = ["9 at 10.0.0.7:5060 udp", "pbx at 10.0.0.2:5060 udp"];

impl Phone {
    /// Reads the line of a scene.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, "at", address, transport, rest @ ..] = words.as_slice() else {
            return Err("Phone: <name> at <address> <transport>".to_owned());
        };
        let mut phone = Self {
            name: (*name).to_owned(),
            peer: peer(&[address, transport])?,
            aor: None,
            contact: None,
            listens: None,
            call: CALL.to_owned(),
            tag: "w{n}".to_owned(),
            branch: "s{r}".to_owned(),
            shard: 0,
        };
        for word in rest {
            let (key, value) = word.split_once('=').ok_or("<key>=<value>")?;
            let value = value.to_owned();
            match key {
                "aor" => phone.aor = Some(value),
                "contact" => phone.contact = Some(value),
                "listens" => phone.listens = Some(value.parse().map_err(|_| "not an address")?),
                "call" => phone.call = value,
                "tag" => phone.tag = value,
                "branch" => phone.branch = value,
                "shard" => phone.shard = value.parse().map_err(|_| "which shard?")?,
                _ => return Err(format!("{key}: unknown key of a phone")),
            }
        }
        Ok(phone)
    }

    /// The phones of a scene.
    pub(crate) fn all(scene: &[(String, String)]) -> Result<Vec<Self>, String> {
        let lines = scene.iter().filter(|(key, _)| key == "Phone");
        let mut phones: Vec<Self> = lines
            .map(|(_, line)| Self::parse(line))
            .collect::<Result<_, _>>()?;
        for line in EVERYWHERE {
            let phone = Self::parse(line)?;
            if phones.iter().all(|known| known.name != phone.name) {
                phones.push(phone);
            }
        }
        Ok(phones)
    }

    /// The From of a REGISTER or PUBLISH about `to`: the phone itself if its line gives its address
    /// of record.
    pub(crate) fn speaker(&self, to: &str) -> String {
        let to = || format!("<{to}>");
        self.aor.clone().unwrap_or_else(to)
    }

    /// Its address of record, in angle brackets.
    pub(crate) fn aor(&self, domain: &str) -> String {
        let own = || format!("<sip:{}@{domain}>", self.name);
        self.aor.clone().unwrap_or_else(own)
    }

    /// Its Contact.
    pub(crate) fn contact(&self) -> String {
        let parameter = match self.peer.transport.uri_parameter() {
            "udp" => String::new(),
            transport => format!(";transport={transport}"),
        };
        let address = self.listens.unwrap_or(self.peer.address);
        let own = || format!("<sip:{}@{address}{parameter}>", self.name);
        self.contact.clone().unwrap_or_else(own)
    }

    /// The patterns for a request of that method. A PUBLISH has other identifiers than a SUBSCRIBE,
    /// as if another program sent it.
    pub(crate) fn names(&self, method: &str) -> Names {
        let of = |call: &str, tag: &str, branch: &str| Names {
            call: call.to_owned(),
            tag: tag.to_owned(),
            branch: branch.to_owned(),
        };
        match method {
            "PUBLISH" => of("p{n}@pbx", "p{n}", "p{r}"),
            "REGISTER" if self.call == CALL => of("r{n}@phone", "f{n}", "{r}"),
            _ => of(&self.call, &self.tag, &self.branch),
        }
    }

    /// Its top Via.
    pub(crate) fn via(&self, branch: &str) -> String {
        let transport = self.peer.transport.via_token();
        let address = self.peer.address;
        format!("SIP/2.0/{transport} {address};rport;branch={branch}")
    }
}

/// Patterns of Call-ID, From-tag and branch.
pub(crate) struct Names {
    /// `c{n}@phone`
    pub(crate) call: String,
    /// `w{n}`
    pub(crate) tag: String,
    /// `s{r}`, after the magic cookie.
    pub(crate) branch: String,
}

impl Names {
    /// The number in place of `{n}` in a Call-ID.
    pub(crate) fn number_in(&self, call: &str) -> Option<u64> {
        number_in(&self.call, "{n}", call)
    }

    /// The next number of a new call.
    pub(crate) fn next_call(&self, calls: &BTreeSet<String>) -> u64 {
        1 + calls
            .iter()
            .filter_map(|call| self.number_in(call))
            .max()
            .unwrap_or_default()
    }

    /// The branch of the next request in call number `n` with that CSeq.
    pub(crate) fn next_branch(&self, branches: &BTreeSet<String>, n: u64, cseq: u64) -> String {
        let pattern = self.branch.replace("{n}", &n.to_string());
        let pattern = format!("z9hG4bK-{}", pattern.replace("{q}", &cseq.to_string()));
        let numbers = branches
            .iter()
            .filter_map(|branch| number_in(&pattern, "{r}", branch));
        let next = 1 + numbers.max().unwrap_or_default();
        pattern.replace("{r}", &next.to_string())
    }
}

/// The number in place of the placeholder of a pattern.
fn number_in(pattern: &str, placeholder: &str, text: &str) -> Option<u64> {
    let (before, behind) = pattern.split_once(placeholder)?;
    let number = text.strip_prefix(before)?.strip_suffix(behind)?;
    number.parse().ok()
}
