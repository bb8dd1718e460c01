/* SPDX-License-Identifier: ISC */
/*
 * Whole sessions from bytes: real session code, stream and loop over a socket
 * pair, the fake peers behind. The first byte chooses the world (TLS modes,
 * credit, failures); the rest is what the client says, where the byte 0xff
 * followed by n means: let the server work for some turns. What must hold:
 * nothing crashes or leaks, the contracts of the peers are kept (the fakes
 * abort), answers are lines of SMTP, nothing is accepted without 354 or BDAT or
 * with REQUIRETLS in clear, no login is evaluated (there is no TLS), and no
 * recipient but our own gets through.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "queue/envelope.h"
#include "smtpd/rules.h"
#include "tests/smtpd_world.h"

enum { ANSWER_MAX = 1 << 20 };

static char answers[ANSWER_MAX];
static size_t answer_length;
static struct rules *offered, *required, *lmtp, *submission, *guarded;
static bool may_relay, is_guarded;

static void hear(int fd)
{
	ssize_t length;

	while (answer_length < ANSWER_MAX && (length = recv(fd,
	    answers + answer_length, ANSWER_MAX - answer_length,
	    MSG_DONTWAIT)) > 0)
		answer_length += (size_t)length;
}

/* Sends text in pieces; a piece that does not fit waits for the server. */
static void say(int fd, const uint8_t *data, size_t size)
{
	size_t at = 0, end;
	ssize_t sent;

	while (at < size) {
		if (data[at] == 0xff && at + 1 < size) {
			world_turns(1 + data[at + 1] % 4);
			hear(fd);
			at += 2;
			continue;
		}
		for (end = at + 1; end < size && data[end] != 0xff; end++)
			;
		sent = send(fd, data + at, end - at,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			return;
		at += (size_t)sent;
		if (at < end) {
			world_turns(2);
			hear(fd);
		}
	}
}

/* SMTP-32: lines of a code, CRLF, at most 512 bytes. After a STARTTLS that
 * was agreed to, what follows may be an alert. */
static void check_answers(void)
{
	const char *line = answers, *end = answers + answer_length, *lf;

	for (; line < end; line = lf + 1) {
		lf = memchr(line, '\n', (size_t)(end - line));
		if (lf == NULL || lf - line > 511 || lf - line < 4 ||
		    lf[-1] != '\r')
			abort();
		if (line[0] < '2' || line[0] > '5' ||
		    (line[3] != ' ' && line[3] != '-'))
			abort();
		if (memcmp(line, "220 2.0.0", 9) == 0)
			return;
	}
}

static void check_message(void)
{
	/* TLS-80: nor is any login evaluated. */
	if (fake_peers.login_seen[0] != '\0')
		abort();
	if (fake_peers.begun == 0)
		return;
	if (is_guarded && (fake_smtpd_policy.greylist_wait > 0 ||
	    fake_smtpd_policy.spf == PROOF_FAIL))
		abort();
	/* REQ-6: there is no TLS here. */
	if (fake_peers.flags & ENVELOPE_REQUIRETLS)
		abort();
	for (const char *at = strchr(fake_peers.recipients, '@');
	    !may_relay && at != NULL;
	    at = strchr(at + 1, '@'))
		if (strncmp(at, "@example.org", 12) != 0)
			abort();
	if (fake_peers.ended > 0 && (memchr(answers, '3', answer_length) ==
	    NULL && memmem(answers, answer_length, "octets", 6) == NULL &&
	    memmem(answers, answer_length, "accepted", 8) == NULL))
		abort();
}

static void choose(uint8_t byte)
{
	static const size_t windows[] = { 256 << 10, 1, 3, 100 };

	fake_peers.window = windows[byte & 3];
	fake_peers.directory_down = (byte & 0x1c) == 0x04;
	fake_peers.queue_down = (byte & 0x1c) == 0x08;
	fake_peers.no_identifiers = (byte & 0x1c) == 0x0c;
	if ((byte & 0x1c) == 0x10)
		fake_peers.space = 50;
	if ((byte & 0x1c) == 0x14)
		status_set(&fake_peers.answer, STATUS_DEFERRED, REASON_LOCAL,
		    "4.3.1", "full");
	/* With the rules of a guarded listener: who is new, who is known. */
	if ((byte & 0x1c) == 0x18)
		fake_smtpd_policy.greylist_wait = 60;
	if ((byte & 0x1c) == 0x1c)
		fake_smtpd_policy.spf = PROOF_FAIL;
}

static struct rules *choose_rules(uint8_t byte)
{
	switch (byte & 0x60) {
	case 0x20: return required;
	case 0x40: return lmtp;
	case 0x60: return submission;
	default: return (byte & 0x18) == 0x18 ? guarded : offered;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char conf[] = "max-message-size = 65536\n"
	    "max-line = 1000\nmax-received = 10\nmax-recipients = 100\n";

	(void)argc;
	(void)argv;
	world_prepare();
	offered = world_rules("max-message-size = 65536\n"
	    "max-line = 1000\nmax-received = 10\nmax-recipients = 100\n"
	    "dkim-verify = yes\ndmarc = enforce\n", "auth = yes", true);
	required = world_rules(conf, "tls = require", true);
	lmtp = world_rules(conf, "service = lmtp", true);
	submission = world_rules(conf, "service = submission tls = offer",
	    true);
	guarded = world_rules("max-message-size = 65536\n"
	    "max-line = 1000\nmax-received = 10\nmax-recipients = 100\n"
	    "greylist = on\nreverse-name = on\ndnsbl = bl.example\n"
	    "dnswl = wl.example\nrecipient-rate = \"9/1d\"\n"
	    "message-rate = \"9/1d\"\nsender-rate = \"5/1d warn\"\n"
	    "spf = enforce\n",
	    "auth = yes", true);
	return offered == NULL || required == NULL || lmtp == NULL ||
	    submission == NULL || guarded == NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world;
	int pair[2];

	if (size < 2 || size > 20000)
		return -1;
	world_init(&world);
	choose(data[0]);
	server_set_rules(&world.server, rules_share(choose_rules(data[0])));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    pair) < 0)
		abort();
	answer_length = 0;
	if (data[0] & 0x80)	/* talks first */
		say(pair[0], data + 1, 1);
	may_relay = (data[0] & 0x60) == 0x60;
	is_guarded = (data[0] & 0x78) == 0x18;
	world_session(&world, pair[1], may_relay ? "192.0.2.7" :
	    "198.51.100.7");
	say(pair[0], data + 1, size - 1);
	shutdown(pair[0], SHUT_WR);
	/* Pieces of a byte of credit take a turn each. */
	for (unsigned i = 0; i < 100 && world.server.session_count > 0; i++) {
		world_turns(50);
		hear(pair[0]);
	}
	hear(pair[0]);
	check_answers();
	check_message();
	close(pair[0]);
	world_release(&world);
	if (fake_peers_open() != 0)
		abort();
	fake_peers_reset();
	return 0;
}
