//! A shard that is driven by hand, for the tests of clients, connectors and relays: inputs, commands, time and responses.

use std::time::{Duration, Instant};

use crate::shard::{Command, CommandId, Input, Outbox, Reply, Shard};

/// A shard under test.
pub(crate) trait Bench {
    /// The shard, the time, and what the shard puts out.
    fn parts(&mut self) -> (&mut Shard, &mut Instant, &mut Outbox);

    /// Takes what the shard put out.
    fn drain(&mut self);

    /// Gives the shard an input.
    fn input(&mut self, input: Input<'_>) {
        let (shard, now, out) = self.parts();
        shard.handle(input, *now, out);
        self.drain();
    }

    /// Gives the shard a command. Returns its reply.
    fn ask(&mut self, command: Command) -> Reply {
        let (shard, now, out) = self.parts();
        shard.handle(Input::Command(CommandId(1), command), *now, out);
        let (_, reply) = out.replies.pop().unwrap();
        self.drain();
        reply
    }

    /// Lets time pass. Each timer fires when it is due.
    fn wait(&mut self, duration: Duration) {
        let (_, now, _) = self.parts();
        let target = *now + duration;
        loop {
            let (shard, now, out) = self.parts();
            let Some(due) = shard.poll_timeout().filter(|due| *due <= target) else {
                *now = target;
                return;
            };
            *now = due.max(*now);
            shard.handle_timeout(*now, out);
            self.drain();
        }
    }
}

/// The value of a header of a message; empty without it.
pub(crate) fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let mut lines = message.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_default()
}

/// A response of a server, which has the tag `theirs`, to a request of ours. `lines`: its further headers.
pub(crate) fn response_to(request: &str, status: &str, lines: &str) -> String {
    let [via, from, to, call_id, cseq] =
        ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| header(request, name));
    let tag = match to.contains("tag=") {
        true => "",
        false => ";tag=theirs",
    };
    format!(
        "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\n\
         CSeq: {cseq}\r\n{lines}Content-Length: 0\r\n\r\n"
    )
}
