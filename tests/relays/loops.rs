//! Two servers of ours that tell each other, by each pair of the ways that lead into a server: PUBLISH, webhook and connector.
//! A change at one arrives at the other once, nothing goes round, and no call stays because each has it from the other.
//! MQTT, NATS and Slack lead into no server; Teams has its own test, `teams_in`.

use std::cell::OnceCell;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::daemon::{Daemon, free_address};
use crate::site::Site;

/// Longer than what goes round takes.
const SETTLED: Duration = Duration::from_millis(1_500);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How a server learns what another one knows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// The other publishes to it.
    Publish,
    /// The other posts to a feed of it.
    Webhook,
    /// It subscribes to the other.
    Connector,
}

/// One of the two servers.
struct Side {
    name: &'static str,
    site: Site,
    sip: SocketAddr,
    /// The token by which the other may report here.
    token: OnceCell<String>,
}

impl Side {
    /// With an account and a feed for the other, and what both need to find each other.
    fn new(name: &'static str, other: &str, pair: &str) -> Self {
        let sip = free_address();
        let tables = format!(
            "[[sip.listen]]\ntransport = \"udp\"\naddress = \"{sip}\"\n\
             [[account]]\nuser = \"{other}\"\ndomain = \"abc.com\"\npassword = \"x\"\nfeeder = true\n\
             [[feed]]\nname = \"{other}\"\ndomain = \"abc.com\"\nuser = \"/data/user\"\nstate = \"/data/lamp\"\n\
             party = \"/data/party\"\nringing = [\"early\"]\nbusy = [\"confirmed\"]\nidle = [\"terminated\"]\n"
        );
        let site = Site::new(&format!("loop-{pair}-{name}"), &tables);
        Self {
            name,
            site,
            sip,
            token: OnceCell::new(),
        }
    }

    /// What it is called by the other.
    fn names(&self) -> String {
        let name = self.name;
        format!("same_as = [\"{name}@abc.com\", \"{name}\"]")
    }

    /// The tables by which this server tells another, and hears of it. One that needs none of them still says by which
    /// names the other reports and subscribes here.
    fn tables(&self, other: &Self, tells: Way, hears: Way) -> String {
        let tables = self.tells(other, tells) + &self.hears(other, hears);
        if tables.is_empty() {
            let names = other.names();
            return format!(
                "[[connector]]\nname = \"{}-reports\"\ndomain = \"abc.com\"\nenabled = false\n{names}\n",
                other.name
            );
        }
        tables
    }

    fn tells(&self, hearer: &Self, way: Way) -> String {
        let (own, name, names) = (self.name, hearer.name, hearer.names());
        let head = format!("[[relay]]\nname = \"to-{name}\"\n{names}\n");
        match way {
            Way::Publish => format!(
                "{head}kind = \"sip\"\naddress = \"{}\"\nremote_domain = \"abc.com\"\nauth_id = \"{own}\"\n\
                 secret = \"x\"\n",
                hearer.sip
            ),
            Way::Webhook => format!(
                "{head}kind = \"webhook\"\nurl = \"http://{}/api/v1/feeds/{own}?token={}\"\nsecret = \"{SECRET}\"\n",
                hearer.site.http,
                hearer.token.get().unwrap()
            ),
            Way::Connector => String::new(),
        }
    }

    fn hears(&self, teller: &Self, way: Way) -> String {
        let (own, name, names) = (self.name, teller.name, teller.names());
        match way {
            Way::Connector => format!(
                "[[connector]]\nname = \"from-{name}\"\n{names}\ndomain = \"abc.com\"\naddress = \"{}\"\n\
                 remote_domain = \"abc.com\"\nauth_id = \"{own}\"\npassword = \"x\"\nusers = [\"100-102\"]\n",
                teller.sip
            ),
            Way::Publish | Way::Webhook => String::new(),
        }
    }

    /// Puts more tables into force.
    fn add(&self, tables: &str) {
        let text = fs::read_to_string(self.site.folder.file()).unwrap();
        self.site.folder.configure(&(text + tables));
        self.site.lamplighter("reload");
    }

    fn wait_for(&self, user: &str, lamp: &str) {
        let words = format!("lamp {lamp})");
        let line = format!("why {user}@abc.com");
        self.site.wait_until(&line, |text| text.contains(&words));
    }

    /// States that it has told by relays.
    fn relayed(&self) -> u64 {
        let relays: Value = serde_json::from_str(&self.site.lamplighter("relays --json")).unwrap();
        let relays = relays["relays"].as_array().unwrap().iter();
        relays.map(|relay| relay["sent"].as_u64().unwrap()).sum()
    }

    /// NOTIFYs that its connectors took.
    fn notified(&self) -> u64 {
        let url = format!("http://{}/metrics", self.site.http);
        let output = Command::new("curl").args(["-sS", "-f", &url]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let lines = text.lines();
        let lines = lines.filter(|line| line.starts_with("lamplighter_connector_notifies_total{"));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

/// What one server has told the other.
fn told(teller: &Side, hearer: &Side) -> u64 {
    teller.relayed() + hearer.notified()
}

/// A call at one server, or without a number its end: the other is told once, and tells nothing back. Both then show a
/// lamp, and still do when nothing is on its way any more.
fn reports(teller: &Side, hearer: &Side, user: &str, (number, lamp): (&str, &str)) {
    let before = (told(teller, hearer), told(hearer, teller));
    teller.site.call_state(user, number);
    for _ in 0..2 {
        teller.wait_for(user, lamp);
        hearer.wait_for(user, lamp);
        thread::sleep(SETTLED);
    }
    let after = (told(teller, hearer), told(hearer, teller));
    assert_eq!(after, (before.0 + 1, before.1), "{user} {number}");
}

const CALL: &str = "&number=5551";

/// The left server tells the right one by the first way, and hears of it by the second.
fn is_no_loop(there: Way, back: Way) {
    let pair = format!("{there:?}-{back:?}");
    let left = Side::new("left", "right", &pair);
    let right = Side::new("right", "left", &pair);
    let daemons = [&left, &right].map(|side| Daemon::start(&side.site.folder));
    for (side, other) in [(&left, "right"), (&right, "left")] {
        let line = format!("token add {other} --role feeder --domain abc.com");
        let token = side.site.lamplighter(&line).trim().to_owned();
        side.token.set(token).unwrap();
    }
    left.add(&left.tables(&right, there, back));
    right.add(&right.tables(&left, back, there));
    for (side, hears) in [(&left, back), (&right, there)] {
        if hears == Way::Connector {
            let is_up = |text: &str| text.contains("UpAndRunning");
            side.site.wait_until("connectors", is_up);
        }
    }
    thread::sleep(SETTLED);
    reports(&left, &right, "100", (CALL, "confirmed"));
    reports(&right, &left, "101", (CALL, "confirmed"));
    reports(&left, &right, "100", ("", "terminated"));
    reports(&right, &left, "101", ("", "terminated"));
    // A call at each: the end of one leaves the other.
    reports(&left, &right, "102", (CALL, "confirmed"));
    reports(&right, &left, "102", (CALL, "confirmed"));
    reports(&left, &right, "102", ("", "confirmed"));
    reports(&right, &left, "102", ("", "terminated"));
    daemons.into_iter().for_each(Daemon::stop);
}

#[test]
fn what_is_published_does_not_come_back() {
    is_no_loop(Way::Publish, Way::Publish);
    is_no_loop(Way::Publish, Way::Webhook);
    is_no_loop(Way::Publish, Way::Connector);
}

#[test]
fn what_a_webhook_tells_does_not_come_back() {
    is_no_loop(Way::Webhook, Way::Webhook);
    is_no_loop(Way::Webhook, Way::Connector);
}

#[test]
fn what_a_connector_hears_does_not_come_back() {
    is_no_loop(Way::Connector, Way::Connector);
}
