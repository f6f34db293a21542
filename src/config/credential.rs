//! The rules for a credential: a token, or a user name with a password.
//!
//! Owns which of them wins. Reads each file once, for a warning: it is read again at each use.

use super::environment::{InlineCredential, InlineSecret};
use super::field::{Field, Located};
use super::report::{Location, Report, Reported};
use super::secret::{ConfiguredCredential, Secret};
use super::values;
use crate::domain::credential::CredentialSource as _;

/// The credential of these files (token, user name, password) and variables; `None`: nothing is configured.
pub(super) fn read(
    files: [&Field<String>; 3],
    inline: &InlineCredential,
    report: &mut Report,
) -> Result<Option<Located<ConfiguredCredential>>, Reported> {
    let token = secret(files[0], inline.token.as_ref(), report);
    let username = secret(files[1], inline.username.as_ref(), report);
    let password = secret(files[2], inline.password.as_ref(), report);
    let credential = match (token?, username?, password?) {
        (None, None, None) => return Ok(None),
        (Some(token), username, password) => {
            if username.is_some() || password.is_some() {
                report.warn(&token.location, "the token is used; the user name and the password are ignored");
            }
            Located::new(token.location, ConfiguredCredential::Token(token.value))
        }
        (None, Some(username), Some(password)) => {
            let credential = ConfiguredCredential::Basic { username: username.value, password: password.value };
            Located::new(password.location, credential)
        }
        (None, Some(_), None) => {
            let what = "there is a user name and no password; name the file that holds it";
            return Err(report.fault(&files[2].location, what));
        }
        (None, None, Some(_)) => {
            let what = "there is a password and no user name; name the file that holds it";
            return Err(report.fault(&files[1].location, what));
        }
    };
    if let Err(error) = credential.read() {
        report.warn(&credential.location, format!("{error}; it is read again at each use"));
    }
    Ok(Some(credential))
}

fn secret(
    file: &Field<String>,
    inline: Option<&InlineSecret>,
    report: &mut Report,
) -> Result<Option<Located<Secret>>, Reported> {
    let path = file.check(report, |text| values::path(text))?;
    Ok(match (path, inline) {
        (Some(path), inline) => {
            if let Some(ignored) = inline {
                let what = format!("this variable is ignored: {} names a file", file.location);
                report.warn(&Location::named(ignored.variable), what);
            }
            Some(Located::new(file.location.clone(), Secret::file(path)))
        }
        (None, Some(InlineSecret { variable, value })) => {
            Some(Located::new(Location::named(*variable), Secret::Variable(variable, value.clone())))
        }
        (None, None) => None,
    })
}
