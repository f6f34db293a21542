//! TLS over real sockets: which certificates are accepted, the problems of the others, and CA bundles that change.

mod process;
pub(crate) mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cutover_api::domain::answer::{Sent, Trouble, TroubleKind};
use cutover_api::domain::cause::Cause;
use cutover_api::transport::{Bundle, Call, HttpTransport, Observer, Outbound, Route, Transport as _};
use http::{Request, StatusCode};
use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, IsCa, SanType};
use tempfile::TempDir;

use server::{Identity, authority, openssl_req, plain, server};

/// A transport that trusts one authority of its own instead of the system's.
fn transport() -> HttpTransport {
    HttpTransport::with(Outbound::from_variables(&|_| None).unwrap(), None).unwrap()
}

async fn get(
    transport: &HttpTransport,
    bundle: Option<&Arc<Bundle>>,
    host: &str,
    port: u16,
) -> Result<StatusCode, Trouble> {
    let request = Request::get(format!("https://{host}:{port}/")).body(Bytes::new()).unwrap();
    let (timeout, bundle) = (Duration::from_secs(10), bundle.cloned());
    let call = Call { operation: "test", route: Route::Direct, request, bundle, timeout, largest: 1_000 };
    transport.send(call).await.map(|answer| answer.status())
}

/// A bundle of these texts in a file of their own.
fn bundle(folder: &TempDir, texts: &[&str]) -> Arc<Bundle> {
    let path = folder.path().join(format!("{}.pem", fs::read_dir(folder.path()).unwrap().count()));
    fs::write(&path, texts.concat()).unwrap();
    Arc::new(Bundle::open("gitea.caFile", vec![path]).unwrap())
}

/// Asks a server of this certificate for 127.0.0.1, trusting these texts.
async fn trusting(texts: &[&str], identity: &Identity, chain: &[&Identity]) -> Result<StatusCode, Trouble> {
    let folder = TempDir::new().unwrap();
    get(&transport(), Some(&bundle(&folder, texts)), "127.0.0.1", identity.serve_with(chain)).await
}

#[track_caller]
fn refused(result: Result<StatusCode, Trouble>, cause: Option<Cause>, says: &str) {
    let trouble = result.unwrap_err();
    assert_eq!((trouble.kind, trouble.sent, trouble.cause), (TroubleKind::Tls, Sent::No, cause), "{trouble:?}");
    assert!(trouble.detail.contains(says), "{says}: {trouble:?}");
}

#[tokio::test]
async fn a_server_certificate_that_says_it_is_a_ca_is_accepted_when_it_is_itself_in_the_bundle() {
    let own = Identity::self_signed(openssl_req("gitea.corp"));
    assert_eq!(trusting(&[&own.pem()], &own, &[]).await, Ok(StatusCode::OK));
    let other = Identity::self_signed(openssl_req("gitea.corp"));
    assert_eq!(trusting(&[&other.pem(), &own.pem()], &own, &[]).await, Ok(StatusCode::OK));
    // the same name is not enough, and neither is the same key
    refused(trusting(&[&other.pem()], &own, &[]).await, Some(Cause::SelfSigned), "CA:TRUE");
    let mut later = openssl_req("gitea.corp");
    later.not_after = rcgen::date_time_ymd(2095, 1, 1);
    let later = Identity::self_signed_with(later, own.same_key());
    refused(trusting(&[&later.pem()], &own, &[]).await, Some(Cause::SelfSigned), "CA:TRUE");
    let folder = TempDir::new().unwrap();
    assert_eq!(
        get(&transport(), Some(&bundle(&folder, &[&own.pem()])), "localhost", own.serve()).await,
        Ok(StatusCode::OK)
    );
    refused(get(&transport(), None, "127.0.0.1", own.serve()).await, Some(Cause::SelfSigned), "CA:TRUE");
}

#[tokio::test]
async fn a_certificate_in_the_bundle_is_still_checked_for_name_dates_and_purpose() {
    for ca in [true, false] {
        let make = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
            let mut params = openssl_req("gitea.corp");
            if !ca {
                params.is_ca = IsCa::ExplicitNoCa;
            }
            change(&mut params);
            Identity::self_signed(params)
        };
        let good = make(&|_| {});
        assert_eq!(trusting(&[&good.pem()], &good, &[]).await, Ok(StatusCode::OK), "CA:{ca}");
        let name = make(&|params| params.subject_alt_names = vec![SanType::DnsName("git.corp".try_into().unwrap())]);
        let says = "its certificate is for git.corp, not for 127.0.0.1";
        refused(trusting(&[&name.pem()], &name, &[]).await, Some(Cause::WrongName), says);
        let common = make(&|params| params.subject_alt_names.clear());
        refused(trusting(&[&common.pem()], &common, &[]).await, Some(Cause::WrongName), "no subject alternative name");
        let expired = make(&|params| params.not_after = rcgen::date_time_ymd(2021, 2, 3));
        let says = "its certificate expired at 2021-02-03T00:00:00Z";
        refused(trusting(&[&expired.pem()], &expired, &[]).await, Some(Cause::Expired), says);
        let early = make(&|params| params.not_before = rcgen::date_time_ymd(2095, 2, 3));
        let says = "its certificate is valid from 2095-02-03T00:00:00Z on; this machine's clock shows 20";
        refused(trusting(&[&early.pem()], &early, &[]).await, Some(Cause::NotYetValid), says);
        let client = make(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
        refused(trusting(&[&client.pem()], &client, &[]).await, None, "not for servers");
        let critical = make(&|params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions = vec![extension];
        });
        let folder = TempDir::new().unwrap();
        let (transport, bundle) = (transport(), bundle(&folder, &[&critical.pem()]));
        let result = get(&transport, Some(&bundle), "127.0.0.1", critical.serve_unchecked()).await;
        refused(result, None, "its certificate is not accepted");
    }
}

#[tokio::test]
async fn a_server_without_the_key_of_the_certificate_in_the_bundle_is_refused() {
    let own = Identity::self_signed(openssl_req("gitea.corp"));
    let thief = Identity { certificate: own.certificate.clone(), ..Identity::self_signed(openssl_req("x")) };
    let folder = TempDir::new().unwrap();
    let (bundle, port) = (bundle(&folder, &[&own.pem()]), thief.serve_unchecked());
    refused(get(&transport(), Some(&bundle), "127.0.0.1", port).await, None, "its certificate is not accepted");
}

#[tokio::test]
async fn only_a_ca_in_the_bundle_vouches_for_others() {
    let root = Identity::self_signed(authority("Acme Root"));
    let middle = Identity::issued_by(authority("Acme Intermediate"), &root);
    let leaf = Identity::issued_by(server("gitea.corp"), &middle);
    assert_eq!(trusting(&[&root.pem()], &leaf, &[&middle]).await, Ok(StatusCode::OK));
    assert_eq!(trusting(&[&middle.pem()], &leaf, &[]).await, Ok(StatusCode::OK));
    let missing = "its certificate is issued by CN=Acme Intermediate, which is not trusted here";
    refused(trusting(&[&root.pem()], &leaf, &[]).await, Some(Cause::UnknownIssuer), missing);
    let another = Identity::self_signed(authority("Other Root")).pem();
    let missing = "its certificate is issued by CN=Acme Root, which is not trusted here";
    refused(trusting(&[&another], &leaf, &[&middle]).await, Some(Cause::UnknownIssuer), missing);
    // an issuer that serves with its own certificate is one only where that very certificate is listed
    let mut params = openssl_req("issuer.corp");
    params.is_ca = authority("x").is_ca;
    let issuer = Identity::issued_by(params, &root);
    refused(trusting(&[&root.pem()], &issuer, &[]).await, Some(Cause::SelfSigned), "CA:TRUE");
    assert_eq!(trusting(&[&issuer.pem()], &issuer, &[]).await, Ok(StatusCode::OK));
    // a server's certificate in the bundle is that of a server, and no authority
    let mut params = server("gitea.corp");
    params.is_ca = IsCa::ExplicitNoCa;
    for is_ca in [IsCa::ExplicitNoCa, IsCa::NoCa] {
        params.is_ca = is_ca;
        let listed = Identity::self_signed(params.clone());
        let forged = Identity::issued_by(server("forged.corp"), &listed);
        assert_eq!(trusting(&[&listed.pem()], &listed, &[]).await, Ok(StatusCode::OK));
        let says = "its certificate is issued by CN=gitea.corp";
        refused(trusting(&[&listed.pem()], &forged, &[]).await, Some(Cause::UnknownIssuer), says);
        refused(trusting(&[&listed.pem()], &forged, &[&listed]).await, None, "EndEntityUsedAsCa");
    }
    // and a listed certificate that another authority signed needs no issuer
    assert_eq!(trusting(&[&leaf.pem()], &leaf, &[]).await, Ok(StatusCode::OK));
    let plain_self_signed = Identity::self_signed(server("alone.corp"));
    let says = "its certificate is self-signed and not in the CA bundle: CN=alone.corp";
    refused(trusting(&[&root.pem()], &plain_self_signed, &[]).await, Some(Cause::SelfSigned), says);
}

#[tokio::test]
async fn what_answers_without_tls_is_named_so() {
    let port = plain(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    refused(get(&transport(), None, "127.0.0.1", port).await, Some(Cause::NoTls), "it does not speak TLS");
    // a fatal alert, protocol_version: the only answer of a server of TLS 1.1
    let port = plain(&[21, 3, 1, 0, 2, 2, 70]);
    refused(get(&transport(), None, "127.0.0.1", port).await, Some(Cause::OldTls), "neither TLS 1.2 nor 1.3");
    let port = plain(&[21, 3, 3, 0, 2, 2, 112]);
    refused(get(&transport(), None, "localhost", port).await, Some(Cause::WrongName), "no certificate for this name");
    let trouble = get(&transport(), None, "127.0.0.1", plain(b"")).await.unwrap_err();
    assert_eq!(trouble.kind, TroubleKind::Connect, "it may be starting: {trouble:?}");
}

#[tokio::test]
async fn a_bundle_stands_beside_the_systems_certificates_and_for_its_own_calls_alone() {
    let (ours, theirs) = (Identity::self_signed(openssl_req("a")), Identity::self_signed(openssl_req("b")));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("system.pem");
    fs::write(&file, ours.pem()).unwrap();
    let system = |name: &str| (name == "SSL_CERT_FILE").then(|| file.display().to_string());
    let transport = HttpTransport::with(Outbound::from_variables(&system).unwrap(), None).unwrap();
    let (ours, theirs, bundle) = (ours.serve(), theirs.serve(), bundle(&folder, &[&theirs.pem()]));
    for _ in 0..2 {
        assert_eq!(get(&transport, None, "127.0.0.1", ours).await, Ok(StatusCode::OK));
        assert_eq!(get(&transport, Some(&bundle), "127.0.0.1", ours).await, Ok(StatusCode::OK));
        assert_eq!(get(&transport, Some(&bundle), "127.0.0.1", theirs).await, Ok(StatusCode::OK));
        refused(get(&transport, None, "127.0.0.1", theirs).await, Some(Cause::SelfSigned), "CA:TRUE");
    }
}

/// What is heard of bundles.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(String, bool)>>);

impl Observer for Heard {
    fn sent(&self, _: &'static str, _: Option<u16>, _: Duration) {}

    fn bundle(&self, setting: &str, usable: bool) {
        self.0.lock().unwrap().push((setting.to_owned(), usable));
    }
}

/// Puts a text under a name as the kubelet does: into a folder of its own, to which a link is turned.
fn mount(folder: &Path, version: &str, text: &str) {
    let data = folder.join(version);
    fs::create_dir(&data).unwrap();
    fs::write(data.join("ca.crt"), text).unwrap();
    std::os::unix::fs::symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    let _ = std::os::unix::fs::symlink("..data/ca.crt", folder.join("ca.crt"));
}

#[tokio::test]
async fn a_bundle_is_read_again_when_it_has_changed_and_its_last_good_content_stays() {
    let (old, new) = (Identity::self_signed(openssl_req("old")), Identity::self_signed(openssl_req("new")));
    let (old_port, new_port) = (old.serve(), new.serve());
    let folder = TempDir::new().unwrap();
    mount(folder.path(), "..1", &old.pem());
    let file = folder.path().join("ca.crt");
    let heard = Arc::new(Heard::default());
    let outbound = Outbound::from_variables(&|_| None).unwrap();
    let transport = HttpTransport::with(outbound, Some(Arc::clone(&heard) as _)).unwrap();
    let bundle = Arc::new(Bundle::open("gitea.caFile", vec![file.clone()]).unwrap());
    let ask = async |port| get(&transport, Some(&bundle), "127.0.0.1", port).await;
    let usable = || heard.0.lock().unwrap().last().cloned().unwrap();
    assert_eq!(ask(old_port).await, Ok(StatusCode::OK));
    assert!(ask(new_port).await.is_err());
    assert_eq!(usable(), ("gitea.caFile".to_owned(), true));

    mount(folder.path(), "..2", &new.pem());
    assert_eq!(ask(new_port).await, Ok(StatusCode::OK));
    assert!(ask(old_port).await.is_err(), "what is no longer in the bundle is no longer trusted");

    for unusable in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&file, unusable).unwrap();
        assert_eq!(ask(new_port).await, Ok(StatusCode::OK), "{unusable}");
        assert!(ask(old_port).await.is_err() && !usable().1, "{unusable}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(ask(new_port).await, Ok(StatusCode::OK));
    assert!(!usable().1);
    fs::write(&file, [old.pem(), new.pem()].concat()).unwrap();
    assert_eq!((ask(old_port).await, ask(new_port).await), (Ok(StatusCode::OK), Ok(StatusCode::OK)));
    assert!(usable().1);
}

#[tokio::test]
async fn a_bundle_may_hold_what_bundles_hold() {
    let root = Identity::self_signed(authority("Acme Root"));
    let mut past = authority("Acme Root");
    past.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let (past, leaf) = (Identity::self_signed(past), Identity::issued_by(server("x"), &root));
    let (pem, key) = (root.pem(), root.key.serialize_pem());
    let comments = format!("# Acme Root\nsubject=CN = Acme Root\n{pem}\n# the end");
    let crlf = pem.replace("\r\n", "\n").replace('\n', "\r\n");
    let huge = format!("{}{pem}", "# a comment of some length that says nothing at all\n".repeat(40_000));
    for text in [&pem, &comments, &crlf, &huge, &format!("\u{feff}{pem}"), pem.trim_end(), &format!("{key}{pem}")] {
        assert_eq!(trusting(&[text], &leaf, &[]).await, Ok(StatusCode::OK), "{}", &text[..60]);
    }
    for beside in [[&past.pem(), pem.as_str()], [pem.as_str(), &past.pem()]] {
        assert_eq!(trusting(&beside, &leaf, &[]).await, Ok(StatusCode::OK), "an expired root beside the good one");
    }
    let folder = TempDir::new().unwrap();
    assert!(bundle(&folder, &[&key, &pem]).holds_a_private_key() && !bundle(&folder, &[&pem]).holds_a_private_key());
}

#[test]
fn what_is_no_bundle_is_refused_and_said_so() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, content: &[u8]| {
        fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name)
    };
    let root = Identity::self_signed(authority("Acme Root"));
    let empty = folder.path().join("folder");
    fs::create_dir(&empty).unwrap();
    let broken = root.pem().replace("-----END", "!-----END");
    for (path, says) in [
        (folder.path().join("none"), "does not exist"),
        (write("empty", b""), "holds no certificate in PEM form"),
        (write("text", b"hello"), "holds no certificate in PEM form"),
        (write("der", root.certificate.der()), "holds no certificate in PEM form"),
        (write("key", root.key.serialize_pem().as_bytes()), "holds no certificate in PEM form"),
        (write("broken", broken.as_bytes()), "certificate 1"),
        (write("large", &vec![b'#'; 5 << 20]), "larger than 4 MiB"),
        (empty.clone(), "holds no certificate in PEM form"),
        (PathBuf::from("/dev/null"), "is not a file"),
    ] {
        let wrong = Bundle::open("gitea.caFile", vec![path.clone()]).unwrap_err();
        assert!(wrong.contains(says) && wrong.contains(path.to_str().unwrap()), "{wrong}");
    }
    fs::write(empty.join("one.pem"), root.pem()).unwrap();
    fs::write(empty.join("two.pem"), Identity::self_signed(authority("Two")).pem()).unwrap();
    std::os::unix::fs::symlink("one.pem", empty.join("0.0")).unwrap();
    std::os::unix::fs::symlink("gone.pem", empty.join("1.0")).unwrap();
    assert_eq!(Bundle::open("SSL_CERT_DIR", vec![empty]).unwrap().count(), 2);
}
