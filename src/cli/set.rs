//! `lamplighter set`: sets the state of an address.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::client::Request;
use crate::cli::{ServerArguments, question};

/// `lamplighter set`
#[derive(Debug, Args)]
pub(super) struct SetArguments {
    /// The address of record: 123@example.com or sip:123@example.com.
    #[arg(value_name = "AOR")]
    aor: String,
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Switch do-not-disturb.
    Dnd {
        /// on or off.
        #[arg(value_parser = ["on", "off"])]
        state: String,
    },
    /// Forward calls.
    Forward {
        /// The calls to forward.
        #[arg(value_parser = ["immediate", "busy", "no-answer"])]
        kind: String,
        /// A number or a URI; off ends the forwarding.
        target: String,
        /// Rings before a call is forwarded; only with no-answer.
        #[arg(long, value_name = "N")]
        rings: Option<u32>,
    },
    /// Set a note, which replaces the notes that clients publish.
    Note {
        /// The note; off removes it.
        text: String,
    },
    /// Set availability, which replaces what clients publish.
    Presence {
        /// open, closed, or off to let the clients decide.
        #[arg(value_parser = ["open", "closed", "off"])]
        basic: String,
        /// RPID activities: away, meeting, vacation.
        #[arg(value_name = "ACTIVITY")]
        activities: Vec<String>,
    },
    /// Set the message counts of the mailbox.
    Messages {
        /// New and old messages, like 3/1; off removes the mailbox.
        counts: String,
        /// New and old urgent messages, like 1/0.
        urgent: Option<String>,
    },
    /// Set the lamp of a resource: a queue, a day/night key.
    Lamp {
        /// early (blinks), confirmed, or off.
        #[arg(value_parser = ["early", "confirmed", "off"])]
        state: String,
        #[command(flatten)]
        call: CallArguments,
    },
    /// Park a call in this orbit.
    Park {
        /// The URI of the parked caller.
        from: String,
        /// The caller's name.
        #[arg(long, value_name = "NAME")]
        display: Option<String>,
        /// Time until it expires: 600, 10m.
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Clear this orbit.
    Unpark,
    /// Set an appearance of a shared line.
    Appearance {
        /// The appearance, 1 to 32.
        index: u32,
        /// idle, seized, progressing, alerting, active, held, held-private, bridge-active, bridge-held
        state: String,
        /// The other party: '"Bob" <sip:bob@example.com>'.
        #[arg(long, value_name = "NAME-ADDR")]
        party: Option<String>,
    },
    /// Report a registered contact.
    Registered {
        /// The URI of the contact.
        contact: String,
        /// Expiry in seconds; 0 ends the registration.
        seconds: u32,
    },
    /// Report that no contact is registered.
    Unregistered,
}

/// The other party of a call, and how long it lasts.
#[derive(Debug, Args)]
struct CallArguments {
    /// The URI of the other party.
    #[arg(long, value_name = "URI")]
    from: Option<String>,
    /// The other party's name.
    #[arg(long, value_name = "NAME")]
    display: Option<String>,
    /// Time until it expires: 600, 10m [default: never].
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

/// Sends it to the running server.
pub(super) fn run(arguments: &SetArguments) -> ExitCode {
    question::run(&arguments.request(), &arguments.server)
}

impl SetArguments {
    pub(super) fn request(&self) -> Request {
        let set = |path| Request::post(path).with("aor", &self.aor);
        match &self.what {
            What::Dnd { state } => set("/set/dnd").with("state", state),
            What::Forward {
                kind,
                target,
                rings,
            } => set("/set/forward")
                .with("kind", kind)
                .with("target", target)
                .with_some("rings", rings.as_ref()),
            What::Note { text } => set("/set/note").with("text", text),
            What::Presence { basic, activities } => set("/set/presence")
                .with("basic", basic)
                .with("activities", activities.join(" ")),
            What::Messages { counts, urgent } => set("/set/messages")
                .with("counts", counts)
                .with_some("urgent", urgent.as_ref()),
            What::Lamp { state, call } => set("/set/lamp")
                .with("state", state)
                .with_some("from", call.from.as_ref())
                .with_some("display", call.display.as_ref())
                .with_some("expires", call.expires.as_ref()),
            What::Park {
                from,
                display,
                expires,
            } => set("/set/park")
                .with("from", from)
                .with_some("display", display.as_ref())
                .with_some("expires", expires.as_ref()),
            What::Unpark => set("/set/unpark"),
            What::Appearance {
                index,
                state,
                party,
            } => set("/set/appearance")
                .with("index", index)
                .with("state", state)
                .with_some("party", party.as_ref()),
            What::Registered { contact, seconds } => set("/set/registered")
                .with("contact", contact)
                .with("expires", seconds),
            What::Unregistered => set("/set/unregistered"),
        }
    }
}
