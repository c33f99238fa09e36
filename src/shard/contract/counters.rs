//! What a shard counts. Every limit and every refusal has a counter here.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the start of the process.
        #[derive(Clone, Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Names and values, in the order of declaration.
            #[must_use]
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Requests and responses that could be read.
    messages_received,
    /// Octets that were no SIP and nobody could be answered.
    messages_unreadable,
    /// Handed on to the shard they belong to.
    messages_misdirected,
    /// Requests seen before and answered from memory.
    requests_retransmitted,
    /// Requests refused, all reasons together.
    requests_refused,
    /// 401s.
    requests_challenged,
    /// 503s because a limit was reached.
    requests_over_limit,
    /// 503s because a phone asked too often (W:A1.24).
    requests_shed_by_phone,
    /// 503s because somebody was asked about too often.
    requests_shed_by_presentity,
    /// 503s because an address asked too often.
    requests_shed_by_source,
    /// 503s because a domain was asked too often.
    requests_shed_by_domain,
    /// 503s because too many subscriptions wait for the first answer of their address.
    requests_shed_by_path,
    /// 503s because too many NOTIFYs wait (W:A1.21).
    requests_shed_by_backlog,
    /// PUBLISHes that waited until few NOTIFYs were owed.
    requests_postponed,
    /// Of these, read before that because there was no room for one more.
    postponements_cut_short,
    /// Refusals given again without looking into the request again.
    refusals_repeated,
    /// 403s to credentials that were too old or wrong too often (W:E3.9).
    attempts_forbidden,
    /// Refusals that `lamplighter refusals` does not list because too many new ones came at once.
    refusals_unlisted,
    /// Failed authentications that are not in the log because too many came at once.
    failures_unlogged,
    /// Credentials that were wrong.
    attempts_wrong,
    /// Times an address or an account was locked out for wrong credentials.
    lockouts,
    /// Subscriptions that began in a crowd and were granted less than they asked for.
    expiries_spread,
    /// Alarms that a phone loops.
    loops_alarmed,
    /// Requests of phones that loop and are not listed because too many are.
    loops_over_limit,
    /// Initial SUBSCRIBEs accepted.
    subscriptions_created,
    /// Refused because those there are take all the memory they may.
    subscriptions_over_octets,
    /// SUBSCRIBEs that prolonged a subscription.
    subscriptions_refreshed,
    /// Fetches: one NOTIFY, no subscription.
    subscriptions_fetched,
    /// Ended by the subscriber.
    subscriptions_ended,
    /// Ended by time.
    subscriptions_expired,
    /// Removed because of the answer to a NOTIFY (W:A3.6).
    subscriptions_rejected,
    /// Removed because their phone started anew (W:A2.19).
    subscriptions_replaced,
    /// Removed because nobody answered (W:A3.7).
    subscriptions_unanswered,
    /// PUBLISHes accepted.
    publications_accepted,
    /// PUBLISHes whose SIP-If-Match named nothing here.
    publications_unmatched,
    /// State changes of presentities that nobody watches.
    publications_without_watchers,
    /// Statements taken that are no PUBLISH: call_state.htm, the operator's commands, features.
    statements_accepted,
    /// REGISTERs of phones accepted, where we are the registrar.
    registrations_accepted,
    /// REGISTERs refused because the user or the shard has too many contacts.
    registrations_over_limit,
    /// Resources of a list that were not shown because there are too many (W:B5.12).
    resources_over_limit,
    /// Watchers that a presentity was not told of because there are too many (W:B4.3).
    watchers_over_limit,
    /// Appearances of shared lines that phones took (W:C10.2).
    appearances_seized,
    /// Appearances that were wanted but not idle.
    appearances_refused,
    /// Changes of composed state.
    state_changes,
    /// NOTIFYs sent, retransmissions not counted.
    notifies_sent,
    /// NOTIFYs sent again because nobody had answered yet.
    notifies_retransmitted,
    /// NOTIFYs answered with 2xx.
    notifies_confirmed,
    /// NOTIFYs answered otherwise.
    notifies_refused,
    /// NOTIFYs nobody answered within 32 s.
    notifies_unanswered,
    /// NOTIFYs not sent because the watcher had been shown the same already.
    notifies_suppressed,
    /// NOTIFYs held back by the rate of a phone.
    notifies_paced,
    /// NOTIFYs that waited because nothing shows yet that their address gets what we send.
    notifies_unproven,
    /// NOTIFYs of long lists held back because too much waits to be sent again.
    notifies_short_of_room,
    /// Timers armed for a moment that had passed: nothing is lost, but many mean a fault of ours.
    timers_armed_late,
    /// Responses that belong to no request of ours.
    responses_unmatched,
    /// NOTIFYs larger than 1,300 octets that went by UDP (W:A6.3).
    udp_oversize,
}
