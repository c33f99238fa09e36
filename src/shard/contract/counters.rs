//! The counters of a shard. Every limit and every kind of refusal has one.

use std::sync::Arc;

use crate::sip::Transport;

/// Everything that a shard counts, and the sizes of its tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Names and values.
    pub values: Vec<(&'static str, u64)>,
    /// Active subscriptions of each event package.
    pub subscriptions: Vec<(&'static str, u64)>,
    /// Active subscriptions to users of each domain.
    pub domains: Vec<(Arc<str>, u64)>,
    /// What went over each transport.
    pub transports: [TransportCounters; Transport::ALL.len()],
    /// NOTIFYs that ended.
    pub notify_outcomes: Vec<NotifyOutcomes>,
}

/// What went over one transport, in the order of [`Transport::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportCounters {
    /// SIP requests and responses that could be parsed.
    pub messages_received: u64,
    /// NOTIFYs sent, without retransmissions.
    pub notifies_sent: u64,
}

/// NOTIFYs that ended in one way at the phones of one profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyOutcomes {
    /// The profile; empty if the subscription was gone already.
    pub profile: Arc<str>,
    /// The status of the response, or its class if that is all that is told apart: 2 for 2xx, 4 for
    /// an unusual 4xx. None if none came in time.
    pub status: Option<u16>,
    /// How many.
    pub count: u64,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// Counters since the start of the process.
        #[derive(Clone, Debug, Default)]
        pub struct Counters {
            /// What went over each transport.
            pub transports: [TransportCounters; Transport::ALL.len()],
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl Counters {
            /// Counts a message that could be parsed.
            #[inline]
            pub(crate) fn count_received(&mut self, transport: Transport) {
                self.messages_received += 1;
                self.transports[transport as usize].messages_received += 1;
            }

            /// Counts a NOTIFY that is sent for the first time.
            #[inline]
            pub(crate) fn count_notify(&mut self, transport: Transport) {
                self.notifies_sent += 1;
                self.transports[transport as usize].notifies_sent += 1;
            }

            /// Names and meanings, in the order of declaration.
            pub const MEANINGS: &[(&str, &str)] = &[$((stringify!($name), concat!($($doc),+)),)*];

            /// Names and values, in the order of declaration.
            #[must_use]
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// SIP requests and responses that could be parsed.
    messages_received,
    /// Messages that could not be parsed and were dropped without a response.
    messages_unreadable,
    /// Messages forwarded to the shard that holds their dialog or transaction.
    messages_misdirected,
    /// Mail dropped because it was addressed to another node. Any but 0 shows a defect.
    mail_undeliverable,
    /// Retransmitted requests, answered with the stored response or absorbed.
    requests_retransmitted,
    /// Stored responses not sent again, because the copy of the request was much shorter than them.
    responses_withheld,
    /// Requests refused with any status.
    requests_refused,
    /// 401 responses.
    requests_challenged,
    /// 503 responses because a table is full.
    requests_over_limit,
    /// 503 responses because a phone exceeded its rate limit.
    requests_shed_by_phone,
    /// 503 responses because requests about one presentity exceeded its rate limit.
    requests_shed_by_presentity,
    /// 503 responses because a source address exceeded its rate limit.
    requests_shed_by_source,
    /// 503 responses because requests to a domain exceeded its rate limit.
    requests_shed_by_domain,
    /// 503 responses because too many dialogs wait for the first response from their address.
    requests_shed_by_path,
    /// 503 responses because the allowance for NOTIFYs to addresses that have proved nothing is used up.
    requests_shed_by_allowance,
    /// 503 responses because too many NOTIFYs are queued (RFC 3261 §21.5.4).
    requests_shed_by_backlog,
    /// 503 responses and commands refused because too many acknowledgements wait for their records to
    /// be durable.
    requests_shed_by_store,
    /// PUBLISHes deferred until the NOTIFY queue was short.
    requests_postponed,
    /// Deferred PUBLISHes served early because the queue of deferred PUBLISHes was full.
    postponements_cut_short,
    /// Refusals repeated from memory without serving the request again.
    refusals_repeated,
    /// 403 responses after too many stale or wrong credentials.
    attempts_forbidden,
    /// Refusals missing from `lamplighter refusals` because too many new ones arrived at once.
    refusals_unlisted,
    /// Authentication failures missing from the log because too many occurred at once.
    failures_unlogged,
    /// Requests with wrong credentials.
    attempts_wrong,
    /// Lockouts of an address or an account for wrong credentials.
    lockouts,
    /// Subscriptions granted a shorter expiry than requested because many began at once.
    expiries_spread,
    /// Alarms about a looping phone.
    loops_alarmed,
    /// Requests of looping phones that are not listed because the list is full.
    loops_over_limit,
    /// Initial SUBSCRIBEs accepted.
    subscriptions_created,
    /// SUBSCRIBEs refused because subscriptions use all the memory they may.
    subscriptions_over_memory,
    /// SUBSCRIBEs that refreshed a subscription.
    subscriptions_refreshed,
    /// SUBSCRIBEs that fetched the state (Expires 0): one NOTIFY, no subscription.
    subscriptions_fetched,
    /// Subscriptions ended by the subscriber.
    subscriptions_ended,
    /// Subscriptions that expired.
    subscriptions_expired,
    /// Subscriptions removed because of the response to a NOTIFY (RFC 6665 §4.2.2, RFC 5057).
    subscriptions_rejected,
    /// Subscriptions removed because the phone restarted and subscribed again.
    subscriptions_replaced,
    /// Subscriptions removed because NOTIFYs got no response.
    subscriptions_unanswered,
    /// PUBLISHes accepted.
    publications_accepted,
    /// PUBLISHes refused with 412: SIP-If-Match names no publication.
    publications_unmatched,
    /// State changes of presentities without watchers.
    publications_without_watchers,
    /// State updates accepted other than by PUBLISH: call_state.htm, operator commands, features.
    state_updates_accepted,
    /// REGISTERs accepted in domains whose registrar we are.
    registrations_accepted,
    /// REGISTERs refused because the user or the shard has too many contacts.
    registrations_over_limit,
    /// Resources of a list omitted because the list is too long (RFC 4662 §4.4).
    resources_over_limit,
    /// Watchers omitted from watcher information because there are too many (RFC 3857 §4.7.1).
    watchers_over_limit,
    /// Appearances of shared lines seized.
    appearances_seized,
    /// Seizures refused because the appearance was in use.
    appearances_refused,
    /// Subscriptions that continue after a restart.
    subscriptions_recovered,
    /// Recovered subscriptions that got a NOTIFY because their phones may not have known the state.
    subscriptions_notified_again,
    /// Recovered subscriptions that got none because their phones knew the state.
    subscriptions_known,
    /// SUBSCRIBEs in dialogs not recovered yet that waited for their dialog.
    requests_awaiting_dialog,
    /// SUBSCRIBEs in dialogs not recovered yet when too many waited: dropped, or answered 503 over a
    /// stream.
    requests_before_recovery,
    /// Stored records skipped and removed because they could not be read.
    records_unreadable,
    /// Stored records removed because their user or domain does not exist any more, or because a newer
    /// record is of the same thing.
    records_obsolete,
    /// Presentities that came back after a restart although there were more than `presentities_max`. New
    /// ones are refused until there is room.
    presentities_over_limit,
    /// Changes of composed state.
    state_changes,
    /// NOTIFYs sent, without retransmissions.
    notifies_sent,
    /// NOTIFY retransmissions.
    notifies_retransmitted,
    /// NOTIFYs answered with 2xx.
    notifies_confirmed,
    /// NOTIFYs answered with a final response other than 2xx.
    notifies_refused,
    /// NOTIFYs without a final response within 32 s (Timer F).
    notifies_unanswered,
    /// NOTIFYs not sent because the watcher already has that state.
    notifies_suppressed,
    /// NOTIFYs delayed by the rate limit of a phone.
    notifies_paced,
    /// NOTIFYs delayed because no response has proved yet that their address receives ours.
    notifies_unproven,
    /// NOTIFYs delayed because the allowance for addresses that have proved nothing is used up.
    notifies_withheld,
    /// Retransmissions of NOTIFYs left out because that allowance is used up.
    retransmissions_withheld,
    /// NOTIFYs delayed until a record that reserves their CSeq was durable.
    notifies_unrecorded,
    /// NOTIFYs of long lists delayed because the retransmission memory is full.
    notifies_waiting_for_memory,
    /// Streams that were to be opened to phones, because their own ended or a NOTIFY was too long for a
    /// datagram.
    dials_begun,
    /// Streams opened to phones.
    dials_connected,
    /// Streams to phones that could not be opened.
    dials_failed,
    /// Times addresses had to wait because too many streams were being opened.
    dials_postponed,
    /// NOTIFYs that wait for the phone to connect again because too many addresses are tried already.
    dials_refused,
    /// Streams of peers that lead to the place in their Via as well (`alias`, RFC 5923).
    aliases_taken,
    /// Names that were to be looked up, to open streams to phones.
    lookups_begun,
    /// Names looked up in vain: without an address that may be dialed.
    lookups_failed,
    /// Timers armed for a time in the past. Nothing is lost, but a growing value shows a defect.
    timers_armed_late,
    /// Responses that match no request of ours.
    responses_unmatched,
    /// Requests of ours other than NOTIFY: SUBSCRIBE and PUBLISH to other servers.
    client_requests_sent,
    /// Retransmissions of our SUBSCRIBEs and PUBLISHes.
    client_requests_retransmitted,
    /// Our SUBSCRIBEs and PUBLISHes without a final response within 32 s (Timer F).
    client_requests_unanswered,
    /// Requests of ours that were not sent because too many wait for a response.
    client_transactions_over_limit,
    /// Probes refused because too many are running.
    clients_over_limit,
    /// NOTIFYs to us that were accepted.
    notifies_received,
    /// States of a connector's user that a refresh found to be others than those held.
    connector_differences,
    /// Users that no connector subscribes to and no relay publishes, because too many are.
    upstream_users_over_limit,
    /// Times the list of a connector's server named a user that is none here.
    upstream_users_ignored,
    /// NOTIFYs with lists that were refused because too many states of earlier ones are still being passed on.
    upstream_lists_refused,
    /// Events missing from the report of a probe because there were too many.
    probe_events_skipped,
    /// NOTIFYs sent over a stream because they were too long for a datagram (RFC 3261 §18.1.1).
    notifies_by_stream,
    /// NOTIFYs larger than 1,300 octets sent over UDP (RFC 3261 §18.1.1).
    udp_oversize,
}
