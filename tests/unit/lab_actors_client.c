/* SPDX-License-Identifier: ISC */
/*
 * Blocking, with the socket's own time-outs. A reply is read byte by byte:
 * nothing may be taken from the socket that belongs to what follows.
 */
#include "tests/unit/lab_actors_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/net.h"
#include "tests/unit/lab_actors_world.h"

struct client {
	const struct call	*call;
	struct talk		*talk;
	int			 fd;
	SSL			*ssl;
	bool			 offered;	/* STARTTLS */
	char			 reply[4096];	/* the last one */
};

void call_patience(int fd, int milliseconds)
{
	struct timeval time = { .tv_sec = milliseconds / 1000,
	    .tv_usec = milliseconds % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

int call_connect(const char *address, int port, int milliseconds)
{
	struct endpoint endpoint;
	int fd, reason;

	if (endpoint_parse(&endpoint, address, (uint16_t)port) == -1)
		abort();
	fd = socket(endpoint.address.any.sa_family,
	    SOCK_STREAM | SOCK_CLOEXEC, 0);
	call_patience(fd, milliseconds);
	if (connect(fd, &endpoint.address.any, endpoint.length) == 0)
		return fd;
	reason = errno;
	close(fd);
	errno = reason;
	return -1;
}

static void note(struct client *client, const char *word)
{
	size_t used = strlen(client->talk->words);

	snprintf(client->talk->words + used, sizeof(client->talk->words) -
	    used, "%s%s", used > 0 ? " " : "", word);
}

/* Before each wait: is the next word expected to be silence? */
static int patience(const struct client *client)
{
	const char *words = client->talk->words, *next;
	size_t used = strlen(words);

	if (strncmp(client->call->expected, words, used) != 0)
		return PATIENCE_MS;
	next = client->call->expected + used;
	next += strspn(next, " ");
	return strncmp(next, "stall", 5) == 0 ? SILENCE_MS : PATIENCE_MS;
}

/* The word for a read that gave nothing. */
static const char *socket_word(ssize_t result)
{
	if (result == 0)
		return "eof";
	return errno == EAGAIN || errno == EINPROGRESS ? "stall" :
	    errno == ECONNRESET || errno == EPIPE ? "reset" :
	    errno == ECONNREFUSED ? "refused" : strerror(errno);
}

static const char *tls_word(SSL *ssl, int result)
{
	int reason = errno, kind = SSL_get_error(ssl, result);
	unsigned long error = ERR_peek_error();

	ERR_clear_error();
	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
		return "stall";
	if (kind == SSL_ERROR_ZERO_RETURN)
		return "eof";
	if (kind == SSL_ERROR_SYSCALL) {
		errno = reason;
		return reason == 0 ? "cut" : socket_word(-1);
	}
	if (ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return "cut";
	/* Reasons above 1000 are alerts of the peer. */
	return ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET ? "alert" :
	    "garbage";
}

/* One byte, or the word for why not. */
static const char *read_byte(struct client *client, char *byte)
{
	ssize_t got;

	errno = 0;
	if (client->ssl != NULL) {
		got = SSL_read(client->ssl, byte, 1);
		return got == 1 ? NULL : tls_word(client->ssl, (int)got);
	}
	got = recv(client->fd, byte, 1, 0);
	return got == 1 ? NULL : socket_word(got);
}

/* Reads a reply; null, or how it ended instead. */
static const char *read_reply(struct client *client)
{
	char *reply = client->reply;
	size_t used = 0, start = 0;
	const char *problem;

	call_patience(client->fd, patience(client));
	for (;;) {
		problem = read_byte(client, &reply[used]);
		if (problem != NULL && start < used && reply[start] == 0x15)
			return "alert";
		if (problem != NULL)
			return problem;
		reply[++used] = '\0';
		if (used == sizeof(client->reply) - 1)
			return "flood";
		if (reply[used - 1] != '\n')
			continue;
		if (used - start < 5 || strspn(reply + start, "0123456789") !=
		    3 || strchr(" -", reply[start + 3]) == NULL)
			return "garbage";
		if (reply[start + 3] == ' ')
			return NULL;
		start = used;
	}
}

/* As one that takes the end of TLS for the end of a layer: it answers, and
 * goes on without. */
static const char *read_on(struct client *client)
{
	note(client, "down");
	SSL_shutdown(client->ssl);
	ERR_clear_error();
	SSL_free(client->ssl);
	client->ssl = NULL;
	return read_reply(client);
}

/* Notes the reply; its code, or 0 when the talk is over. */
static int hear(struct client *client)
{
	const char *problem = read_reply(client);
	char word[8];

	if (problem != NULL && strcmp(problem, "eof") == 0 &&
	    client->ssl != NULL && client->call->careless)
		problem = read_on(client);
	if (problem != NULL) {
		note(client, problem);
		return 0;
	}
	client->offered = strstr(client->reply, "-STARTTLS\r\n") != NULL ||
	    strstr(client->reply, " STARTTLS\r\n") != NULL;
	snprintf(word, sizeof(word), "%.3s%s", client->reply,
	    client->offered ? "+" : "");
	note(client, word);
	return (int)strtol(client->reply, NULL, 10);
}

static int say(struct client *client, const char *line)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "%s\r\n", line);

	if (client->ssl != NULL) {
		SSL_write(client->ssl, text, length);
		ERR_clear_error();
	} else if (send(client->fd, text, (size_t)length, MSG_NOSIGNAL) ==
	    -1) {
		/* The reason is told once. */
		note(client, socket_word(-1));
		return 0;
	}
	return hear(client);
}

static void note_key(struct client *client)
{
	X509 *x509 = SSL_get1_peer_certificate(client->ssl);
	unsigned char *der = NULL;
	int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);

	SHA256(der, (size_t)length, client->talk->key_digest);
	client->talk->has_key = true;
	OPENSSL_free(der);
	X509_free(x509);
}

static bool start_tls(struct client *client)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int result;

	call_patience(client->fd, patience(client));
	client->ssl = SSL_new(context);
	SSL_CTX_free(context);
	SSL_set_fd(client->ssl, client->fd);
	if (client->call->servername != NULL)
		SSL_set_tlsext_host_name(client->ssl,
		    client->call->servername);
	errno = 0;
	result = SSL_connect(client->ssl);
	note(client, result == 1 ? "TLS" : tls_word(client->ssl, result));
	if (result == 1)
		note_key(client);
	return result == 1;
}

static bool send_content(struct client *client)
{
	const char *content = client->call->content != NULL ?
	    client->call->content : "Subject: x\r\nX-Postern-Lab: m1\r\n\r\n"
	    "text\r\n";
	size_t length = strlen(content), sent = 0;

	while (sent < length) {
		size_t piece = length - sent < 10000 ? length - sent : 10000;
		ssize_t result = client->ssl != NULL ? SSL_write(client->ssl,
		    content + sent, (int)piece) : send(client->fd, content +
		    sent, piece, MSG_NOSIGNAL);

		if (result <= 0)
			return false;
		sent += (size_t)result;
	}
	return say(client, ".") != 0;
}

static bool hello(struct client *client)
{
	int code = say(client, "EHLO client.example");

	if (client->talk->ehlo[0] == '\0')
		snprintf(client->talk->ehlo, sizeof(client->talk->ehlo),
		    "%.2000s", client->reply);
	if (code / 100 == 5)
		code = say(client, "HELO client.example");
	return code == 250;
}

static bool send_mail(struct client *client)
{
	const char *sender = client->call->sender != NULL ?
	    client->call->sender : "a@sender.example";
	char line[200];

	snprintf(line, sizeof(line), "MAIL FROM:<%s>%s%s", sender,
	    client->call->parameters != NULL ? " " : "",
	    client->call->parameters != NULL ? client->call->parameters : "");
	return say(client, line) == 250 &&
	    say(client, "RCPT TO:<b@rcpt.example>") == 250 &&
	    say(client, "DATA") == 354 && send_content(client);
}

/* True as long as the connection may be used. */
static bool alive(const struct client *client)
{
	static const char *const ends[] = { "eof", "reset", "stall", "cut",
	    "garbage", "alert", "flood" };
	const char *last = strrchr(client->talk->words, ' ');
	size_t i;

	last = last != NULL ? last + 1 : client->talk->words;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(last, ends[i]) == 0)
			return false;
	return true;
}

static void run(struct client *client)
{
	bool ready;
	int code;

	if (client->call->implicit && !start_tls(client))
		return;
	ready = hear(client) == 220;
	snprintf(client->talk->greeting, sizeof(client->talk->greeting),
	    "%.250s", client->reply);
	ready = ready && hello(client);
	if (ready && client->ssl == NULL && (client->offered ||
	    client->call->insist)) {
		code = say(client, "STARTTLS");
		if (code == 220)
			ready = start_tls(client) && hello(client);
	}
	if (ready && alive(client))
		send_mail(client);
	if (alive(client) && say(client, "QUIT") != 0)
		hear(client);
}

void call_make(const struct call *call, struct talk *talk)
{
	struct client client = { .call = call, .talk = talk };

	memset(talk, 0, sizeof(*talk));
	client.fd = call_connect(call->address, call->port,
	    patience(&client));
	if (client.fd == -1) {
		note(&client, socket_word(-1));
		return;
	}
	run(&client);
	SSL_free(client.ssl);
	close(client.fd);
}
