# SPDX-License-Identifier: ISC
"""A small organisation's day: people log in from the programs they have, send
as themselves and as nobody else, and read their mail through Dovecot. No
password is ever said, evaluated or logged outside TLS."""
import base64
import email
import email.utils
import imaplib
import os
import smtplib
import socket
import ssl
import subprocess
import threading

import pytest

from dovecot import Dovecot
from postern import BINARY, PEERS, Talk, free_port, until
from smtp_peer import Stranger

# Words that occur nowhere else, so that finding one in a log is finding it.
PASSWORDS = {"alice@example.org": "Kauz-Schwelle 71%",
             "bob@example.org": "pfirsich\u00e4=+/",
             "carol@example.org": "Zw\u00f6lf.Eulen"}
WRONG = "Falsches-Wort-95"
ASCII_USER, ASCII_WORD = "alice@example.org", PASSWORDS["alice@example.org"]
MAIL = b"From: alice@example.org\r\nTo: bob@example.org\r\n" \
       b"Subject: %s\r\n\r\nHello.\r\n"


def plain(user, password):
    return base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()


def coded(text):
    return base64.b64encode(text.encode()).decode()


def secrets():
    """Every way in which a password may be found in a log."""
    for user, word in [*PASSWORDS.items(), (ASCII_USER, WRONG),
                       ("nobody@example.org", WRONG)]:
        yield word
        # whatever stands before it, at each of the three alignments
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + word.encode())
            yield text.decode()[4 if shift else 0:].rstrip("=")[:-1]


class Organisation:
    """.server has ports for everybody and for its people: .port, .submission
    and .submissions."""

    def __init__(self, make, certificate, authority, laptop, folder):
        self.authority = authority
        self.submission, self.submissions = free_port(), free_port()
        self.outside = Stranger()
        self.lists = os.path.join(str(folder), "aliases")
        with open(self.lists, "w") as out:
            out.write("# everybody writes to these\n"
                      "sales: alice, bob\n"
                      "Info: sales,\n\tcarol\n"
                      "friend: dora@example.net\n")
        self.server = make(
            certificate=certificate, users=("alice", "bob", "carol"),
            text="log-level = debug\nrelay-from = { 192.0.2.1 }\n"
            "allow-loopback = yes\nreuse-idle = 1s\n"
            'aliases-file = "%s"\n' % self.lists +
            'listen submission { addresses = { "127.0.0.1" } port = %d '
            "client-certificates = yes }\n" % self.submission +
            'listen submissions { addresses = { "127.0.0.1" } port = %d }\n' %
            self.submissions +
            'route "example.net" { host = "127.0.0.1" port = %d mx = no '
            "level = may }\n" % self.outside.port)
        self.port = self.server.port
        for user, password in PASSWORDS.items():
            self.user("add", user, password=password)

    def user(self, *words, password=None):
        """`postern user ...`; the password, twice, on standard input."""
        done = subprocess.run(
            [BINARY, "user", *words, "-c", self.server.path],
            input="" if password is None else (password + "\n") * 2,
            capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (words, done)
        return done.stdout

    def context(self, certificate=None):
        context = ssl.create_default_context(cafile=self.authority.chain)
        if certificate:
            context.load_cert_chain(certificate.chain, certificate.key)
        return context

    def talk(self, implicit=False, source="127.0.0.1", certificate=None,
             hello="EHLO client.example"):
        """A conversation under TLS; the reply to its EHLO is .offered."""
        talk = Talk.__new__(Talk)
        talk.socket = socket.create_connection(
            ("127.0.0.1", self.submissions if implicit else self.submission),
            20, (source, 0))
        talk.rest = b""
        context = self.context(certificate)
        if not implicit:
            talk.greeting = talk.reply()
            talk.before = talk.say(hello)[1]
            assert talk.code("STARTTLS") == 220
        talk.socket = context.wrap_socket(talk.socket,
                                          server_hostname="mx.example.org")
        if implicit:
            talk.greeting = talk.reply()
        assert talk.greeting[0] == 220
        code, talk.offered = talk.say(hello)
        assert code == 250
        return talk

    def logged_in(self, user=ASCII_USER, **more):
        talk = self.talk(**more)
        code, texts = talk.say("AUTH PLAIN " + plain(user, PASSWORDS[user]))
        assert (code, texts[0][:5]) == (235, "2.7.0"), texts
        return talk

    def find(self, user, marker, count=1):
        """That message in a mailbox, once it is there."""
        def found():
            return [text for text in self.server.messages(user)
                    if marker in text]
        until(lambda: len(found()) >= count, 20,
              lambda: self.server.read_log()[-3000:])
        assert len(found()) == count
        return email.message_from_bytes(found()[0])


@pytest.fixture(scope="module")
def org(module_server, certificate, authority, make_certificate,
        tmp_path_factory):
    one = Organisation(module_server, certificate, authority, make_certificate,
                       tmp_path_factory.mktemp("org"))
    yield one
    one.outside.close()
    # what is kept: accounts, the queue's database and its log
    for folder, _, names in os.walk(one.server.parts["state"]):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and "/mail/" not in path:
                no_secret_in(path)


def no_secret_in(path):
    with open(path, "rb") as kept:
        text = kept.read().replace(b"\0", b"")     # most of a database
    for secret in secrets():
        assert secret.encode() not in text, (secret, path)


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(org):
    """TLS-82: at debug level, after each test."""
    yield
    no_secret_in(org.server.log_path)


def test_it_would_be_found():
    """The search above finds what it is to find."""
    words = list(secrets())
    for user, word in PASSWORDS.items():
        for text in (word, plain(user, word), coded(word)):
            assert any(secret in text for secret in words), text


# --- before TLS ---

def auth_words(texts):
    return [text for text in texts if text.upper().startswith("AUTH")]


def test_no_login_before_tls(org):
    """TLS-15, TLS-80 to 82, TLS-85: not offered, not evaluated, and the same
    answer to the right password as to a wrong one."""
    answers = set()
    for word in (ASCII_WORD, WRONG):
        talk = Talk(org.submission)
        code, texts = talk.say("EHLO client.example")
        assert "STARTTLS" in texts and not auth_words(texts)
        code, texts = talk.say("AUTH PLAIN " + plain(ASCII_USER, word))
        assert code in (530, 538), texts
        answers.add((code, *texts))
        code, texts = talk.say("AUTH LOGIN")
        assert code in (530, 538), texts
        answers.add((code, *texts))
        code, texts = talk.say("MAIL FROM:<alice@example.org>")
        assert (code, texts[0][:5]) == (530, "5.7.0")
        assert talk.code("QUIT") == 221
    assert len(answers) == 1, answers


@pytest.mark.parametrize("verb", ["RSET", "VRFY alice", "HELO client.example",
                                  "DATA", "RCPT TO:<bob@example.org>"])
def test_tls_first(org, verb):
    """TLS-15."""
    talk = Talk(org.submission)
    code, texts = talk.say(verb)
    assert (code, texts[0][:5]) == (530, "5.7.0")
    assert talk.code("NOOP") == 250


def test_no_login_on_the_public_port(org):
    """A host for everybody has no passwords, with TLS or without."""
    talk = Talk(org.port)
    assert not auth_words(talk.say("EHLO client.example")[1])
    assert talk.code("AUTH PLAIN " + plain(ASCII_USER, ASCII_WORD)) in (
        502, 503, 530, 538)
    assert talk.code("STARTTLS") == 220
    talk.socket = org.context().wrap_socket(talk.socket,
                                            server_hostname="mx.example.org")
    assert not auth_words(talk.say("EHLO client.example")[1])
    assert talk.code("AUTH PLAIN " + plain(ASCII_USER, ASCII_WORD)) in (
        502, 503)
    assert talk.code("MAIL FROM:<alice@example.org>") == 250
    assert talk.code("RCPT TO:<dora@example.net>") == 550


# --- under TLS ---

@pytest.mark.parametrize("implicit", [False, True], ids=["587", "465"])
def test_what_is_offered(org, implicit):
    """TLS-81, TLS-84, TLS-89, TLS-90: PLAIN under TLS, nothing that is broken,
    EXTERNAL only to whom it serves."""
    talk = org.talk(implicit)
    (line,) = auth_words(talk.offered)
    words = line.split()[1:]
    assert {"PLAIN", "LOGIN", "SCRAM-SHA-256"} <= set(words)
    assert not {"CRAM-MD5", "DIGEST-MD5", "NTLM", "EXTERNAL",
                "ANONYMOUS"} & set(words)
    assert "STARTTLS" not in talk.offered
    talk.close()


def test_login_is_needed(org):
    """TLS-83, TLS-88, SMTP-151."""
    talk = org.talk()
    code, texts = talk.say("MAIL FROM:<alice@example.org>")
    assert (code, texts[0][:5]) == (530, "5.7.0")
    assert talk.code("RSET") == 250 and talk.code("NOOP") == 250
    code, texts = talk.say("RCPT TO:<bob@example.org>")
    assert code in (503, 530)
    talk.close()


def test_wrong_password(org):
    """SMTP-149, TLS-85: 535 5.7.8, and nobody learns who is a user here."""
    answers = set()
    for user, word in ((ASCII_USER, WRONG), ("nobody@example.org", WRONG),
                       ("nobody@elsewhere.example", WRONG), (ASCII_USER, "")):
        talk = org.talk(source="127.80.0.1")
        code, texts = talk.say("AUTH PLAIN " + plain(user, word))
        if word:
            assert (code, texts[0][:5]) == (535, "5.7.8"), texts
            answers.add(tuple(texts))
        else:       # RFC 4616 2: a password has a character at least
            assert code in (501, 535)
        assert talk.code("MAIL FROM:<alice@example.org>") == 530
        # the session is still of use
        assert talk.code("AUTH PLAIN " + plain(ASCII_USER, ASCII_WORD)) == 235
        assert talk.code("MAIL FROM:<alice@example.org>") == 250
        talk.close()
    assert len(answers) == 1


def test_guessing_in_one_session(org):
    """RFC 4954 9: three failures at least before the session ends."""
    talk = org.talk(source="127.80.0.4")
    codes = []
    while codes[-1:] != [421] and len(codes) < 9:
        try:
            codes.append(talk.code("AUTH PLAIN " + plain(ASCII_USER, WRONG)))
        except (EOFError, OSError):
            break
    assert codes[:3] == [535] * 3 and set(codes[3:]) <= {421, 454, 535}
    assert len(codes) < 9


@pytest.mark.parametrize("line, wanted", [
    ("AUTH CRAM-MD5", (504, "5.5.4")), ("AUTH NO-SUCH-THING", (504, "5.5.4")),
    ("AUTH EXTERNAL =", (504, "5.5.4")), ("AUTH PLAIN !!!!", (501, "5.5.2")),
    ("AUTH PLAIN " + coded("alice"), (501, "5.5.2")), ("AUTH", (501, "5.5.4")),
    ("AUTH PLAIN =", (501, "5.5.2"))])
def test_forms_of_auth(org, line, wanted):
    """SMTP-148."""
    talk = org.talk(source="127.80.0.2")
    code, texts = talk.say(line)
    assert (code, texts[0][:5]) == wanted, (line, code, texts)
    talk.close()


def test_rules_of_auth(org):
    """SMTP-147, SMTP-148, SMTP-150."""
    talk = org.talk(source="127.80.0.3")
    assert talk.say("AUTH PLAIN") == (334, [""])
    assert talk.code("*") == 501
    assert talk.say("AUTH LOGIN")[0] == 334
    assert talk.code("not base64!") == 501
    assert talk.say("auth plain") == (334, [""])
    assert talk.code(plain(ASCII_USER, ASCII_WORD)) == 235
    assert talk.code("AUTH PLAIN " + plain(ASCII_USER, ASCII_WORD)) == 503
    assert talk.code("MAIL FROM:<alice@example.org> AUTH=<>") == 250
    assert talk.code("AUTH PLAIN") == 503
    assert talk.code("RSET") == 250
    # RSET and EHLO forget the mail, not the user
    assert talk.code("EHLO again.example") == 250
    assert talk.code("MAIL FROM:<alice@example.org> "
                     "AUTH=someone+2Belse@example.org") == 250
    talk.close()


def test_only_own_addresses(org):
    """SMTP-152, RFC 6409 6.1: nobody sends as somebody else, whose address it
    may be; as nobody, which notifications need, everybody may."""
    talk = org.logged_in()
    for sender in ("bob@example.org", "nobody@example.org", "eve@example.net",
                   "alice@example.net", "sales@example.org"):
        code, texts = talk.say("MAIL FROM:<%s>" % sender)
        assert (code, texts[0][:5]) == (553, "5.7.1"), (sender, texts)
    for sender in ("alice@example.org", "Alice@EXAMPLE.org",
                   "alice+list@example.org", ""):
        assert talk.code("MAIL FROM:<%s>" % sender) == 250, sender
        assert talk.code("RSET") == 250
    talk.close()


def test_account_changes_hold_at_once(org):
    """Added, changed, disabled, removed while the server runs; what is listed
    shows no secret."""
    def answer(word, source):
        talk = org.talk(source=source)
        code = talk.code("AUTH PLAIN " + plain("dave@example.org", word))
        talk.close()
        return code
    first, second = "Erstes-Wort-31", "Zweites-Wort-32"
    assert answer(first, "127.80.1.1") == 535
    org.user("add", "dave@example.org", password=first)
    assert answer(first, "127.80.1.1") == 235
    listed = org.user("list")
    assert "dave@example.org" in listed and "alice@example.org" in listed
    assert "$y$" not in listed and first not in listed
    org.user("passwd", "dave@example.org", password=second)
    assert answer(first, "127.80.1.2") == 535
    assert answer(second, "127.80.1.2") == 235
    org.user("disable", "dave@example.org")
    assert answer(second, "127.80.1.3") == 535
    org.user("remove", "dave@example.org")
    assert answer(second, "127.80.1.3") == 535
    assert "dave@" not in org.user("list")
    path = os.path.join(org.server.parts["state"], "accounts")
    assert os.stat(path).st_mode & 0o007 == 0
    log = org.server.read_log()
    assert first not in log and second not in log


@pytest.mark.parametrize("verb", ["disable", "remove"])
def test_logged_in_and_then_shut_out(org, verb):
    """A session lasts for hours; the right to send does not outlive the
    account. What was begun is finished."""
    word = "Noch-Ein-Wort-33"
    org.user("add", "erin@example.org", password=word)
    talk = org.talk(source="127.80.2.1")
    assert talk.code("AUTH PLAIN " + plain("erin@example.org", word)) == 235
    assert talk.code("MAIL FROM:<erin@example.org>") == 250
    org.user(verb, "erin@example.org")
    assert talk.code("RCPT TO:<alice@example.org>") == 250
    assert talk.code("RSET") == 250
    assert talk.code("MAIL FROM:<erin@example.org>") == 553
    assert talk.code("MAIL FROM:<>") == 553
    talk.close()
    if verb == "disable":
        org.user("remove", "erin@example.org")


# --- the programs people have ---

def swaks(org, implicit, *words):
    done = subprocess.run(
        ["swaks", "--server", "127.0.0.1:%d" % (
            org.submissions if implicit else org.submission),
         "--tlsc" if implicit else "--tls", "--from", ASCII_USER, "--to",
         "bob@example.org", "--helo", "client.example", *words],
        capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout


@pytest.mark.parametrize("implicit", [False, True], ids=["587", "465"])
@pytest.mark.parametrize("how", ["PLAIN", "LOGIN"])
def test_swaks(org, implicit, how):
    marker = "swaks-%s-%d" % (how, implicit)
    code, text = swaks(org, implicit, "--auth", how, "--auth-user",
                       ASCII_USER, "--auth-password", ASCII_WORD, "--header",
                       "Subject: " + marker)
    assert code == 0, text
    message = org.find("bob", marker.encode())
    received = message["Received"]
    assert "with ESMTPSA" in received and "TLS" in received
    assert message["Return-Path"] == "<alice@example.org>"


def test_swaks_wrong_password(org):
    code, text = swaks(org, False, "--auth", "PLAIN", "--auth-user",
                       ASCII_USER, "--auth-password", WRONG,
                       "--local-interface", "127.80.0.5")
    assert code == 28 and "535 5.7.8" in text, text


def test_swaks_broken_mechanism(org):
    """What is not safe is not there: the client finds nothing to use."""
    code, text = swaks(org, False, "--auth", "CRAM-MD5", "--auth-user",
                       ASCII_USER, "--auth-password", ASCII_WORD)
    assert code != 0 and "MAIL FROM" not in text, text


def msmtp(org, body, *words, user=None, port=None, recipient="bob@example.org"):
    more = ["--passwordeval=printf %%s '%s'" % PASSWORDS[user],
            "--user=" + user] if user else []
    done = subprocess.run(
        [os.path.join(PEERS, "bin/msmtp"), "--file=/dev/null",
         "--host=127.0.0.1", "--port=%d" % (port or org.submission),
         "--tls=on", "--tls-trust-file=" + org.authority.chain,
         "--tls-host-override=mx.example.org", "--domain=client.example",
         "--from=" + ASCII_USER, *more, *words, "--", recipient], input=body,
        capture_output=True, timeout=30)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("how", ["plain", "login", "scram-sha-256"])
def test_msmtp(org, how):
    marker = b"msmtp-" + how.encode()
    code, text = msmtp(org, MAIL.replace(b"\r", b"") % marker, "--auth=" + how,
                       user=ASCII_USER)
    assert code == 0, text
    assert "ESMTPSA" in org.find("bob", marker)["Received"]


def test_msmtp_implicit(org):
    code, text = msmtp(org, MAIL.replace(b"\r", b"") % b"msmtp-465",
                       "--auth=plain", "--tls-starttls=off", user=ASCII_USER,
                       port=org.submissions)
    assert code == 0, text
    org.find("bob", b"msmtp-465")


@pytest.fixture(scope="module")
def phone(org, make_certificate):
    """A client's certificate that is listed; its name is the user's."""
    one = make_certificate("phone", issuer=None)
    org.server.command("relay", "allow", "--cert", one.chain, "--name",
                       "phone", check=0)
    yield one
    org.server.command("relay", "revoke", "phone", check=0)


def test_msmtp_with_certificate(org, phone):
    """TLS-16: no password at all; the certificate is enough."""
    marker = b"msmtp-certificate"
    code, text = msmtp(org, MAIL.replace(b"\r", b"") % marker, "--auth=off",
                       "--tls-cert-file=" + phone.chain,
                       "--tls-key-file=" + phone.key,
                       recipient="dora@example.net")
    assert code == 0, text
    until(lambda: [one for one in org.outside.messages if marker in one[3]],
          20, org.server.read_log)


def test_unlisted_certificate_changes_nothing(org, make_certificate):
    """TLS-16: no rights, and no harm: who shows one may still log in."""
    one = make_certificate("stranger", issuer=None)
    talk = org.talk(certificate=one)
    assert "EXTERNAL" not in auth_words(talk.offered)[0]
    assert talk.code("MAIL FROM:<alice@example.org>") == 530
    assert talk.code("AUTH EXTERNAL =") in (504, 535)
    assert talk.code("AUTH PLAIN " + plain(ASCII_USER, ASCII_WORD)) == 235
    talk.close()


def test_external(org, make_certificate):
    """TLS-90: offered to whom it serves; a certificate that is listed under a
    user's name is that user, and may send as nobody else."""
    one = make_certificate("alice", issuer=None)
    org.server.command("relay", "allow", "--cert", one.chain, "--name",
                       ASCII_USER, check=0)
    talk = org.talk(certificate=one)
    assert "EXTERNAL" in auth_words(talk.offered)[0].split()
    # RFC 4422: somebody else's name is not for this certificate
    assert talk.code("AUTH EXTERNAL " + coded("bob@example.org")) == 535
    code, texts = talk.say("AUTH EXTERNAL =")
    assert (code, texts[0][:5]) == (235, "2.7.0"), texts
    assert talk.code("MAIL FROM:<bob@example.org>") == 553
    assert talk.code("MAIL FROM:<alice@example.org>") == 250
    assert talk.code("RCPT TO:<dora@example.net>") == 250
    talk.close()


@pytest.mark.parametrize("user", sorted(PASSWORDS))
@pytest.mark.parametrize("implicit", [False, True], ids=["587", "465"])
def test_smtplib(org, implicit, user):
    """Passwords of every kind of letter, as PLAIN carries them (RFC 4616)."""
    marker = b"smtplib-%d-%s" % (implicit, user.split("@")[0].encode())
    with smtplib_client(org, implicit) as client:
        if user == ASCII_USER:
            client.login(user, PASSWORDS[user])     # its own choice
        else:
            client.ehlo()
            code, text = client.docmd("AUTH", "PLAIN " + plain(
                user, PASSWORDS[user]))
            assert code == 235, text
        client.sendmail(user, ["carol@example.org", "dora@example.net"],
                        MAIL % marker)
    org.find("carol", marker)
    until(lambda: [one for one in org.outside.messages if marker in one[3]])


class Implicit(smtplib.SMTP_SSL):
    """Connects to an address, and asks for a name."""

    def _get_socket(self, host, port, timeout):
        return self.context.wrap_socket(
            socket.create_connection((host, port), timeout),
            server_hostname="mx.example.org")


def smtplib_client(org, implicit):
    if implicit:
        return Implicit("127.0.0.1", org.submissions, timeout=30,
                        context=org.context())
    client = smtplib.SMTP("127.0.0.1", org.submission, timeout=30)
    client._host = "mx.example.org"
    client.starttls(context=org.context())
    return client


def test_thunderbird(org):
    """Its dialogue, as it is on the wire: a literal in EHLO, the response with
    the command, parameters of MAIL; a second mail on the same connection."""
    talk = org.talk(hello="EHLO [192.168.7.20]")
    assert [word for word in talk.offered if word.startswith("SIZE ")]
    assert "8BITMIME" in talk.offered
    assert talk.code("AUTH PLAIN " + plain(ASCII_USER, ASCII_WORD)) == 235
    for number in range(2):
        body = ("Message-ID: <6f1%d@example.org>\r\n"
                "Date: Mon, 23 Nov 2026 09:00:00 +0100\r\nMIME-Version: 1.0\r\n"
                "User-Agent: Mozilla Thunderbird\r\nContent-Language: de\r\n"
                "To: bob@example.org\r\nFrom: alice <alice@example.org>\r\n"
                "Subject: bird-%d\r\nContent-Type: text/plain; charset=UTF-8;"
                " format=flowed\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                "Gr\u00fc\u00dfe\r\n\r\n.\r\n" % (number, number)).encode()
        assert talk.code("MAIL FROM:<alice@example.org> BODY=8BITMIME "
                         "SIZE=%d" % len(body)) == 250
        assert talk.code("RCPT TO:<bob@example.org>") == 250
        assert talk.code("DATA") == 354
        talk.send(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        code, texts = talk.reply()
        assert (code, texts[0][:5]) == (250, "2.0.0")
    assert talk.code("QUIT") == 221
    assert talk.closed()
    for number in range(2):
        message = org.find("bob", b"bird-%d" % number)
        assert message.get_payload(decode=True).decode() == \
            "Gr\u00fc\u00dfe\n\n.\n"
        assert message.get_all("Message-ID") == ["<6f1%d@example.org>" % number]
        assert message["Received"].startswith("from [192.168.7.20] ")


def test_iphone(org):
    """A telephone's: LOGIN in two steps, RSET between the mails, no parameters,
    a quoted name, and the connection closed without QUIT."""
    talk = org.talk(implicit=True, hello="EHLO smtpclient.apple")
    assert talk.say("AUTH LOGIN") == (334, ["VXNlcm5hbWU6"])
    assert talk.say(coded(ASCII_USER)) == (334, ["UGFzc3dvcmQ6"])
    assert talk.code(coded(ASCII_WORD)) == 235
    for number in range(2):
        assert talk.code("RSET") == 250
        assert talk.code("MAIL FROM:<alice@example.org>") == 250
        assert talk.code("RCPT TO:<bob@example.org>") == 250
        assert talk.code("DATA") == 354
        talk.send(b"Content-Type: text/plain\r\nFrom: \"A. L.\" "
                  b"<alice@example.org>\r\nMime-Version: 1.0 (1.0)\r\n"
                  b"Subject: phone-%d\r\n\r\n..\r\n\r\n\r\n.\r\n" % number)
        assert talk.reply()[0] == 250
    talk.close()
    for number in range(2):
        message = org.find("bob", b"phone-%d" % number)
        assert message.get_payload() == ".\n\n\n"
        # SMTP-151, RFC 6409 8.2, 8.3: this one had neither
        assert email.utils.parsedate_to_datetime(message["Date"])
        assert message["Message-ID"].startswith("<")


# --- fix-ups ---

def test_fixups_of_submission(org):
    """SMTP-151, SMTP-152, RFC 6409 8.2, 8.3: what is missing is added, once;
    what is there stays; RFC 5322 3.6.4 on the form. Nothing of that for mail
    that only passes (SMTP-64)."""
    talk = org.logged_in()

    def send(talk, subject, more=b""):
        assert talk.code("MAIL FROM:<alice@example.org>") == 250
        assert talk.code("RCPT TO:<bob@example.org>") == 250
        assert talk.code("DATA") == 354
        talk.send(more + MAIL % subject + b".\r\n")
        assert talk.reply()[0] == 250
        return org.find("bob", subject)

    one, two = (send(talk, subject) for subject in (b"fix-one", b"fix-two"))
    for message in (one, two):
        (date,) = message.get_all("Date")
        assert abs(email.utils.parsedate_to_datetime(date).timestamp() -
                   os.stat(org.server.log_path).st_mtime) < 60
        (identifier,) = message.get_all("Message-ID")
        assert identifier[0] == "<" and identifier[-1] == ">"
        assert identifier.count("@") == 1 and " " not in identifier
    assert one["Message-ID"] != two["Message-ID"]
    kept = send(talk, b"fix-kept", b"date: Fri, 1 Jan 2021 00:00:00 +0000\r\n"
                b"MESSAGE-ID: <own@example.org>\r\n")
    assert kept.get_all("Date") == ["Fri, 1 Jan 2021 00:00:00 +0000"]
    assert kept.get_all("Message-ID") == ["<own@example.org>"]
    talk.close()
    talk = Talk(org.port)
    talk.say("EHLO client.example")
    passing = send(talk, b"fix-passing")
    assert passing["Date"] is None and passing["Message-ID"] is None


# --- addresses ---

def public(org, recipient, subject):
    talk = Talk(org.port)
    code, texts = talk.mail(recipient, "eve@example.com", b"Subject: %s\r\n\r\n"
                            b"x\r\n" % subject)
    talk.close()
    return code, texts


def test_aliases(org):
    """Several targets, an alias of aliases, each mailbox once; without regard
    to case."""
    assert public(org, "sales@example.org", b"alias-sales")[0] == 250
    for user in ("alice", "bob"):
        org.find(user, b"alias-sales")
    assert public(org, ["INFO@example.org", "alice@example.org",
                        "sales@example.org"], b"alias-info")[0] == 250
    for user in ("alice", "bob", "carol"):
        org.find(user, b"alias-info")


def test_alias_leads_elsewhere(org):
    """For us it is local, and so nobody's relay: strangers may write to it."""
    assert public(org, "friend@example.org", b"alias-friend")[0] == 250
    until(lambda: [one for one in org.outside.messages
                   if b"alias-friend" in one[3]], 20, org.server.read_log)
    assert [one for one in org.outside.messages
            if b"alias-friend" in one[3]][0][2] == ["<dora@example.net>"]


def test_plus_address(org):
    for local in ("alice+shop", "alice+", "ALICE+a+b"):
        # the dot: one code begins as another does
        marker = b"plus-" + coded(local).encode().rstrip(b"=") + b"."
        assert public(org, local + "@example.org", marker)[0] == 250, local
        org.find("alice", marker)
    code, texts = public(org, "nobody+shop@example.org", b"plus-nobody")
    assert (code, texts[0][:5]) == (550, "5.1.1")


# --- Dovecot ---

def imap(port, user):
    client = imaplib.IMAP4("127.0.0.1", port)
    # IMAP4.login() cannot say every password
    word = PASSWORDS[user]
    client.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (
        user, word)).encode())
    client.select()
    return client


def fetched(client, subject):
    client.noop()
    _, (numbers,) = client.search(None, "SUBJECT", '"%s"' % subject)
    return [client.fetch(number.decode(), "(RFC822)")[1][0][1]
            for number in numbers.split()]


@pytest.fixture
def dovecot(tmp_path):
    made = []

    def make(**more):
        made.append(Dovecot(tmp_path / "dovecot", PASSWORDS, **more))
        return made[-1].start()
    yield make
    for one in made:
        one.stop()


def test_read_by_imap(org, dovecot):
    """Postern writes the maildir, Dovecot reads it: the same message, once,
    with its lines as IMAP wants them."""
    reader = dovecot(mail=os.path.join(org.server.parts["state"], "mail"))
    talk = org.logged_in()
    talk.say("MAIL FROM:<alice@example.org>")
    talk.say("RCPT TO:<carol@example.org>")
    talk.say("DATA")
    talk.send(MAIL % b"by-imap" + b"..dot\r\n.\r\n")
    assert talk.reply()[0] == 250
    org.find("carol", b"by-imap")
    client = imap(reader.port, "carol@example.org")
    (text,) = until(lambda: fetched(client, "by-imap"), 20, reader.log)
    assert text.endswith(b"\r\n\r\nHello.\r\n.dot\r\n")
    message = email.message_from_bytes(text)
    assert message["Return-Path"] == "<alice@example.org>"
    assert message["Subject"] == "by-imap"
    client.logout()


def test_lmtp_to_dovecot(server, certificate, authority, dovecot):
    """The whole day of an organisation on Dovecot: submitted with a password,
    through the queue, by LMTP over its socket, read by IMAP. One recipient of
    two is refused there, and the sender hears of that one."""
    boxes = dovecot()
    port = free_port()
    one = server(certificate=certificate, users=("*",), text=(
        "log-level = debug\nlisten submissions { "
        'addresses = { "127.0.0.1" } port = %d }\n' % port +
        'route "example.org" { transport = lmtp socket = "%s" }\n' %
        boxes.lmtp))
    done = subprocess.run(
        [BINARY, "user", "add", ASCII_USER, "-c", one.path],
        input=(ASCII_WORD + "\n") * 2, capture_output=True, text=True,
        timeout=60)
    assert done.returncode == 0, done
    context = ssl.create_default_context(cafile=authority.chain)
    talk = Talk.__new__(Talk)
    talk.rest = b""
    talk.socket = context.wrap_socket(
        socket.create_connection(("127.0.0.1", port), 20),
        server_hostname="mx.example.org")
    assert talk.reply()[0] == 220
    talk.say("EHLO client.example")
    assert talk.code("AUTH PLAIN " + plain(ASCII_USER, ASCII_WORD)) == 235
    talk.say("MAIL FROM:<alice@example.org>")
    for local in ("bob", "carol", "missing"):
        assert talk.code("RCPT TO:<%s@example.org>" % local) == 250
    talk.say("DATA")
    talk.send(MAIL % b"by-lmtp" + b"..dot\r\n.\r\n")
    assert talk.reply()[0] == 250
    for user in ("bob", "carol"):
        client = imap(boxes.port, user + "@example.org")
        (text,) = until(lambda: fetched(client, "by-lmtp"), 20,
                        lambda: one.read_log()[-3000:] + boxes.log())
        assert text.endswith(b"\r\n\r\nHello.\r\n.dot\r\n")
        message = email.message_from_bytes(text)
        assert message["Return-Path"] == "<alice@example.org>"
        assert any("with ESMTPSA" in line
                   for line in message.get_all("Received"))
        client.logout()
    client = imap(boxes.port, ASCII_USER)
    (report,) = until(lambda: fetched(client, ""), 20,
                      lambda: one.read_log()[-3000:])
    assert b"missing@example.org" in report and b"5.1.1" in report
    assert b"Final-Recipient: rfc822; bob" not in report
    client.logout()
    one.wait_empty()
    assert ASCII_WORD not in one.read_log()
    assert plain(ASCII_USER, ASCII_WORD) not in one.read_log()


# --- on the wire ---

def test_no_password_on_the_wire_in_clear(org):
    """Somebody takes STARTTLS away from a person's program: a program that
    insists gets no further, and one that tries to log in in clear gains
    nothing: our side says it is not to be."""
    heard = []
    listener = socket.create_server(("127.0.0.1", 0))

    def carry():
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1",
                                               org.submission)) as there:
            client.settimeout(10)
            there.settimeout(10)
            stream = client.makefile("rb")
            client.sendall(there.recv(4096))
            for line in stream:
                heard.append(line)
                there.sendall(line)
                client.sendall(there.recv(4096).replace(b"STARTTLS",
                                                        b"XXXXXXXA"))
    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    code, text = msmtp(org, MAIL.replace(b"\r", b"") % b"never", "--auth=on",
                       user=ASCII_USER, port=listener.getsockname()[1])
    thread.join(20)
    listener.close()
    assert code != 0 and "STARTTLS" in text, text
    assert [line.split()[0].upper() for line in heard
            if line.split()[0].upper() not in (b"EHLO", b"QUIT")] == []
