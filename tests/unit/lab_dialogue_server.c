/* SPDX-License-Identifier: ISC */
/*
 * The scripted server: one process, one connection at a time, lab_link for the
 * bytes, and contexts of OpenSSL that outlive connections, so that sessions
 * can be resumed.
 */
#include "tests/unit/lab_dialogue_server.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/certificate.h"
#include "tools/lab/dialogue_private.h"

enum { EARLY_MAX = 4096 };

static SSL_CTX *context;
static struct lab_line line;

static SSL_CTX *make_context(void)
{
	static char name[] = "mta.origin.example", nothing[] = "";
	static char *names[] = { name };
	static struct lab_certificate certificate = { .name = name,
	    .names = { names, 1 }, .common_name = nothing,
	    .organization = nothing, .issuer_authority = true };
	static const struct lab_world world = { .certificates = &certificate,
	    .certificate_count = 1 };
	const struct lab_tls_manner manner = { .tickets = 2 };
	struct arena *arena = arena_new(16 << 20);
	struct lab_identities *identities = lab_identities_new(&world, arena);
	char error[200];
	SSL_CTX *made = lab_link_context(identities->items, &manner, error,
	    sizeof(error));

	assert_non_null(made);
	SSL_CTX_set_options(made, SSL_OP_NO_ANTI_REPLAY);
	SSL_CTX_set_max_early_data(made, EARLY_MAX);
	arena_free(arena);
	return made;
}

static bool is_word(const char *word, const char *wanted)
{
	size_t length = strlen(wanted);

	return strncmp(word, wanted, length) == 0 &&
	    (word[length] == ' ' || word[length] == '\0');
}

static void say(struct lab_link *link, const char *text)
{
	struct buf bytes;

	buf_init(&bytes, LAB_BYTES_MAX);
	lab_move_bytes(text, &bytes);
	lab_link_write(link, buf_data(&bytes), buf_length(&bytes));
	buf_release(&bytes);
}

static void say_whether(struct lab_link *link, bool holds)
{
	say(link, holds ? "250 yes|" : "599 no|");
}

static void expect_line(struct lab_link *link, const char *wanted)
{
	if (lab_link_line(link, &line) != 1 || strcmp(line.text, wanted) != 0)
		lab_link_cut(link);
}

static void take_early(struct lab_link *link)
{
	char data[EARLY_MAX];
	size_t got;
	int result = 0;

	link->ssl = SSL_new(context);
	SSL_set_fd(link->ssl, link->fd);
	SSL_set_accept_state(link->ssl);
	SSL_set_max_early_data(link->ssl, EARLY_MAX);
	while (result != SSL_READ_EARLY_DATA_FINISH) {
		result = SSL_read_early_data(link->ssl, data, sizeof(data),
		    &got);
		if (result == SSL_READ_EARLY_DATA_ERROR &&
		    SSL_get_error(link->ssl, 0) != SSL_ERROR_WANT_READ)
			break;
	}
	while (SSL_do_handshake(link->ssl) != 1)
		if (SSL_get_error(link->ssl, -1) != SSL_ERROR_WANT_READ)
			return;
}

static void secure(struct lab_link *link, const char *how)
{
	SSL_CTX_clear_options(context, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	SSL_CTX_set_num_tickets(context, strcmp(how, "no-tickets") == 0 ? 0 :
	    2);
	if (strcmp(how, "renegotiate") == 0)
		SSL_CTX_set_options(context, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	SSL_CTX_set_verify(context, strcmp(how, "ask") == 0 ?
	    SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (strcmp(how, "early") == 0)
		take_early(link);
	else
		lab_link_secure(link, context, strcmp(how, "demand") == 0);
}

static void check_resumed(struct lab_link *link, const char *word)
{
	bool resumed = SSL_session_reused(link->ssl) == 1;

	say_whether(link, resumed == (strcmp(word, "yes") == 0));
}

static void check_name(struct lab_link *link, const char *wanted)
{
	const char *name = SSL_get_servername(link->ssl,
	    TLSEXT_NAMETYPE_host_name);

	say_whether(link, strcmp(name != NULL ? name : "-", wanted) == 0);
}

static void check_read(struct lab_link *link, const char *text)
{
	char data[4096];
	ssize_t got = lab_link_read(link, data, sizeof(data));
	struct buf bytes;

	buf_init(&bytes, LAB_BYTES_MAX);
	lab_move_bytes(text, &bytes);
	say_whether(link, got == (ssize_t)buf_length(&bytes) &&
	    memcmp(data, buf_data(&bytes), (size_t)got) == 0);
	buf_release(&bytes);
}

/* In how many segments it came: who reads late finds several at once. */
static void count_reads(struct lab_link *link, long wanted)
{
	struct tcp_info about = { .tcpi_data_segs_in = 0 };
	socklen_t size = sizeof(about);
	char data[4096];
	long reads = 0;
	ssize_t got = 1;

	while (got > 0 && (reads == 0 || data[got - 1] != '\n')) {
		got = lab_link_read(link, data, sizeof(data));
		reads++;
	}
	if (getsockopt(link->fd, IPPROTO_TCP, TCP_INFO, &about, &size) == 0 &&
	    reads < (long)about.tcpi_data_segs_in)
		reads = (long)about.tcpi_data_segs_in;
	say_whether(link, reads >= wanted);
}

static void note_end(struct lab_link *link, struct server *server)
{
	char *ended = server->seen->ended;
	size_t size = sizeof(server->seen->ended);
	bool secure = link->ssl != NULL;
	char data[4096];
	ssize_t got;

	while ((got = lab_link_read(link, data, sizeof(data))) > 0)
		continue;
	if (got == 0)
		snprintf(ended, size, "%s", secure ? "notify" : "eof");
	else
		snprintf(ended, size, "%s", strstr(link->problem,
		    "reset") != NULL ? "reset" : "eof");
}

static void follow(struct lab_link *link, const char *word,
    struct server *server)
{
	const char *rest = word + strcspn(word, " ");

	rest += *rest == ' ';
	if (is_word(word, ">"))
		say(link, rest);
	else if (is_word(word, "<"))
		lab_link_line(link, &line);
	else if (is_word(word, "then"))
		expect_line(link, rest);
	else if (is_word(word, "is"))
		say_whether(link, strcmp(line.text, rest) == 0);
	else if (is_word(word, "got"))
		check_read(link, rest);
	else if (is_word(word, "reads"))
		count_reads(link, strtol(rest, NULL, 10));
	else if (is_word(word, "tls"))
		secure(link, rest);
	else if (is_word(word, "alert"))
		lab_link_alert(link, "handshake_failure");
	else if (is_word(word, "sni"))
		check_name(link, rest);
	else if (is_word(word, "version"))
		say_whether(link, strcmp(SSL_get_version(link->ssl),
		    rest) == 0);
	else if (is_word(word, "resumed"))
		check_resumed(link, rest);
	else if (is_word(word, "close"))
		lab_link_close(link);
	else if (is_word(word, "cut"))
		lab_link_cut(link);
	else if (is_word(word, "reset"))
		lab_link_reset(link);
	else if (is_word(word, "end"))
		note_end(link, server);
	else if (is_word(word, "sleep"))
		usleep((useconds_t)strtol(rest, NULL, 10) * 1000);
	else
		_exit(2);
}

static void serve(int listener, const char *const *script,
    struct server *server)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		struct lab_link link;
		int fd = accept(listener, NULL, NULL);
		char rest[4096];

		server->seen->visits++;
		lab_link_init(&link, fd);
		for (int i = 0; i < WORDS_MAX && script[i] != NULL; i++)
			follow(&link, script[i], server);
		while (link.fd != -1 && lab_link_read(&link, rest,
		    sizeof(rest)) > 0)
			continue;
		lab_link_release(&link);
		ERR_clear_error();
	}
}

void server_start(struct server *server, const char *const *script)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Here, because it takes time: a client need not wait for us. */
	if (context == NULL)
		context = make_context();
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)(void *)&address,
	    length), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener,
	    (struct sockaddr *)(void *)&address, &length), 0);
	server->port = ntohs(address.sin_port);
	server->seen = mmap(NULL, sizeof(*server->seen), PROT_READ |
	    PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(server->seen, MAP_FAILED);
	server->pid = fork();
	if (server->pid == 0)
		serve(listener, script, server);
	close(listener);
}

void server_stop(struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	munmap(server->seen, sizeof(*server->seen));
}
