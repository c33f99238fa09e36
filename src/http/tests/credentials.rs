//! Accounts with password hashes: verified once, one at a time, by another thread.

use super::*;
use crate::directory::Proof;

/// A server with an account `app` that has this password hash.
fn server(shield: OverloadOptions) -> Server {
    let server = Server::start_with(shield);
    set_hash(&server, "slow:sesame");
    server
}

fn set_hash(server: &Server, hash: &str) {
    let change = |current: &Directory| {
        let mut edited = current.clone();
        let hash = Proof::PasswordHash(hash);
        edited.add_account("app", "abc.com", hash).unwrap();
        Ok::<_, ()>(edited)
    };
    server.directory.edit(change, |_| ()).unwrap();
}

fn verified(server: &Server) -> u64 {
    server.engine.verifications.load(Ordering::SeqCst) / 2
}

fn report(server: &Server, user: &str, password: &str) -> u16 {
    let target = format!("/call_state.htm?domain=abc.com&user={user}&password={password}&number=5");
    server.request("GET", &target).status
}

#[test]
fn a_right_password_is_verified_once_and_a_wrong_one_each_time() {
    let server = server(OverloadOptions::default());
    for _ in 0..3 {
        assert_eq!(report(&server, "app", "sesame"), 200);
    }
    assert_eq!(verified(&server), 1);
    for _ in 0..3 {
        assert_eq!(report(&server, "app", "sesamo"), 403);
    }
    assert_eq!(verified(&server), 4);
    // Once the account has another hash, the password is no longer known.
    set_hash(&server, "slow:other");
    assert_eq!(report(&server, "app", "sesame"), 403);
    assert_eq!(report(&server, "app", "other"), 200);
}

/// The engine of the tests asserts that one verification runs at a time.
#[test]
fn many_requests_at_once_wait_for_one_verification() {
    let server = server(OverloadOptions::default());
    std::thread::scope(|scope| {
        let requests: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| report(&server, "app", "sesame")))
            .collect();
        for request in requests {
            assert_eq!(request.join().unwrap(), 200);
        }
    });
    assert_eq!(verified(&server), 1);
}

/// Guesses that wait for their turn are not verified once the lockout begins.
#[test]
fn guesses_at_once_get_no_more_tries_than_one_by_one() {
    let shield = OverloadOptions {
        wrong_max: 3,
        exempt: Vec::new(),
        ..OverloadOptions::default()
    };
    let server = server(shield);
    let statuses = std::thread::scope(|scope| {
        let requests: Vec<_> = (0..10)
            .map(|guess: u32| {
                let server = &server;
                scope.spawn(move || report(server, "app", &guess.to_string()))
            })
            .collect();
        let status = requests.into_iter().map(|request| request.join().unwrap());
        status.collect::<Vec<_>>()
    });
    let wrong = statuses.iter().filter(|status| **status == 403).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((wrong, refused), (3, 7), "{statuses:?}");
    assert_eq!(verified(&server), 3);
}

/// If checking some accounts takes long, so does checking some names without an account.
#[test]
fn an_account_that_does_not_exist_may_take_as_long() {
    let server = server(OverloadOptions::default());
    for user in 0..12 {
        assert_eq!(report(&server, &format!("none{user}"), "x"), 403);
    }
    let slow = verified(&server);
    assert!((1..12).contains(&slow), "{slow} of 12");
    assert_eq!(report(&server, "123", "x"), 403);
    assert_eq!(verified(&server), slow);
}

#[test]
fn a_reload_ends_lockouts() {
    let shield = OverloadOptions {
        wrong_max: 1,
        exempt: Vec::new(),
        ..OverloadOptions::default()
    };
    let server = server(shield);
    assert_eq!(report(&server, "app", "x"), 403);
    assert_eq!(report(&server, "app", "sesame"), 429);
    set_hash(&server, "slow:sesame");
    assert_eq!(report(&server, "app", "sesame"), 200);
}
