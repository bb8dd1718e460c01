/* SPDX-License-Identifier: ISC */
/*
 * The child does the whole exchange, one wait after the other, writes one
 * message and ends; it never returns into the code of the role. The parent
 * reads the message to its end, then kills what may be left of the child, so
 * that no signal handler is needed to know when it is over.
 *
 * A body is believed only when it is provably whole, since what an attacker on
 * the path can do to TLS is to cut it: a Content-Length that was fulfilled, an
 * orderly last chunk, or the peer's close_notify. libevent's HTTP client was
 * tried and does not keep that: with OpenSSL below it, an end that arrives
 * together with data is seen before the data.
 */
#include "policy/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/wire.h"
#include "policy/fetch_response.h"
#include "policy/sts_policy.h"

enum { HOST_MAX = 255, PROBLEM_MAX = 159, MESSAGE_VERSION = 1,
    MESSAGE_MAX = STS_BODY_MAX + 512, GRACE_MILLISECONDS = 2000,
    RESULT_FD = 3, CHILD_FILES = 32, CHILD_SECONDS = 60,
    CHILD_BYTES = 256 << 20 };

struct fetcher {
	SSL_CTX		*context;	/* owned */
	bool		 trusts;	/* has CA certificates */
};

/* Of the parent. */
struct fetch {
	pid_t		 pid;		/* 0: no child */
	struct watch	 watch;		/* its descriptor is owned */
	struct timer	 timer;
	struct buf	 reply;
	struct fetch_answer answer;
	fetch_done	*done;
	void		*arg;
};

/* --- which addresses --- */

static bool v4_is_public(const uint8_t *b)
{
	unsigned two = (unsigned)b[0] << 8 | b[1];

	if (b[0] == 0 || b[0] == 10 || b[0] == 127 || b[0] >= 224)
		return false;
	return (two & 0xffc0) != 0x6440 &&	/* 100.64/10, RFC 6598 */
	    two != 0xa9fe &&			/* 169.254/16 */
	    (two & 0xfff0) != 0xac10 &&		/* 172.16/12 */
	    !(two == 0xc000 && b[2] == 0) &&	/* 192.0.0/24, RFC 6890 */
	    !(two == 0xc058 && b[2] == 99) &&	/* 192.88.99/24, 6to4 */
	    two != 0xc0a8 &&			/* 192.168/16 */
	    (two & 0xfffe) != 0xc612;		/* 198.18/15, RFC 2544 */
}

/* Global unicast is 2000::/3. What carries an IPv4 address inside could lead
 * to any: only the well-known prefix of DNS64 is looked into, for networks
 * that have nothing else. */
static bool v6_is_public(const uint8_t *b)
{
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

	if (memcmp(b, nat64, sizeof(nat64)) == 0)
		return v4_is_public(b + 12);
	if ((b[0] & 0xe0) != 0x20)
		return false;
	if (b[0] == 0x20 && b[1] == 0x02)	/* 2002::/16, 6to4 */
		return false;
	/* 2001::/23: Teredo, benchmarks, ORCHID. */
	return !(b[0] == 0x20 && b[1] == 0x01 && (b[2] & 0xfe) == 0);
}

bool fetch_is_public(const struct endpoint *address, bool allow_loopback)
{
	if (address->length == 0)
		return false;
	if (endpoint_is_loopback(address))
		return allow_loopback;
	switch (address->address.any.sa_family) {
	case AF_INET:
		return v4_is_public(
		    (const uint8_t *)&address->address.v4.sin_addr);
	case AF_INET6:
		return v6_is_public(
		    (const uint8_t *)&address->address.v6.sin6_addr);
	default:
		return false;
	}
}

const char *fetch_result_name(enum fetch_result result)
{
	switch (result) {
	case FETCH_FAILED: return "sts-policy-fetch-error";
	case FETCH_UNTRUSTED: return "sts-webpki-invalid";
	case FETCH_NO_TEXT: return "sts-policy-invalid";
	default: return NULL;
	}
}

/* --- trust --- */

static bool add_trust(X509_STORE *store, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate;
	bool any = false;

	while (bio != NULL && (certificate = PEM_read_bio_X509_AUX(bio, NULL,
	    NULL, NULL)) != NULL) {
		any = X509_STORE_add_cert(store, certificate) == 1 || any;
		X509_free(certificate);
	}
	BIO_free(bio);
	ERR_clear_error();
	return any;
}

static int on_certificate(int good, X509_STORE_CTX *store);
static void on_tls_event(const SSL *ssl, int where, int value);

struct fetcher *fetcher_new(const char *trust_pem)
{
	struct fetcher *fetcher = mem_alloc(sizeof(*fetcher));
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	/* BCP 195: TLS 1.2 at least, and no weak keys. */
	if (context == NULL ||
	    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		fatal("tls-context");
	SSL_CTX_set_security_level(context, 2);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_certificate);
	SSL_CTX_set_info_callback(context, on_tls_event);
	if (trust_pem != NULL)
		fetcher->trusts = add_trust(SSL_CTX_get_cert_store(context),
		    trust_pem);
	if (!fetcher->trusts)
		log_error("no CA certificates: no MTA-STS policy can be "
		    "fetched");
	fetcher->context = context;
	return fetcher;
}

void fetcher_free(struct fetcher *fetcher)
{
	if (fetcher == NULL)
		return;
	SSL_CTX_free(fetcher->context);
	mem_free(fetcher);
}

/* --- the child: one attempt --- */

/* The child has one thing to do at a time; OpenSSL's callbacks come here. */
static struct {
	char			 host[HOST_MAX + 1];
	char			 where[ENDPOINT_TEXT_MAX];
	struct fetch_answer	 answer;	/* body is owned */
	int64_t			 deadline;	/* monotonic; this attempt's */
	int			 untrusted;	/* X509_V_ERR_..., or 0 */
	char			 alert[64];
} child;

/* printf into the answer's problem. */
static void say(enum fetch_result result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(enum fetch_result result, const char *format, ...)
{
	va_list list;

	child.answer.result = result;
	va_start(list, format);
	vsnprintf(child.answer.problem, sizeof(child.answer.problem), format,
	    list);
	va_end(list);
}

static int on_certificate(int good, X509_STORE_CTX *store)
{
	if (!good && child.untrusted == 0)
		child.untrusted = X509_STORE_CTX_get_error(store);
	return good;
}

static void on_tls_event(const SSL *ssl, int where, int value)
{
	(void)ssl;
	if (where == SSL_CB_READ_ALERT)
		snprintf(child.alert, sizeof(child.alert), "%s",
		    SSL_alert_desc_string_long(value));
}

/* False when the time is over: its total, whatever came meanwhile. */
static bool wait_for(int fd, short events)
{
	struct pollfd poller = { .fd = fd, .events = events };
	int64_t left = child.deadline - clock_monotonic();

	return left > 0 && poll(&poller, 1, (int)left) != 0;
}

/* After an SSL_ call that did not succeed: may it be tried again? */
static bool may_go_on(SSL *ssl, int result)
{
	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(SSL_get_fd(ssl), POLLIN);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(SSL_get_fd(ssl), POLLOUT);
	default:
		return false;
	}
}

static bool is_late(void)
{
	if (clock_monotonic() < child.deadline)
		return false;
	say(FETCH_FAILED, "%s at %s gave no whole answer in time", child.host,
	    child.where);
	return true;
}

static int open_connection(const struct endpoint *address)
{
	int fd = net_connect(address, NULL), error = fd == -1 ? errno : 0;

	if (fd != -1 && !wait_for(fd, POLLOUT))
		error = ETIMEDOUT;
	else if (fd != -1)
		error = net_connect_result(fd);
	if (error == 0) {
		net_no_delay(fd);
		return fd;
	}
	say(FETCH_FAILED, "cannot connect to %s at %s: %s", child.host,
	    child.where, strerror(error));
	if (fd != -1)
		close(fd);
	return -1;
}

static SSL *make_session(SSL_CTX *context, int fd)
{
	static const unsigned char protocol[] = "\x08http/1.1";
	SSL *ssl = SSL_new(context);

	if (ssl == NULL)
		return NULL;
	/* STS-22 to STS-25: the name of the policy host, as a DNS-ID, with
	 * nothing but a whole first label as wildcard. */
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set_fd(ssl, fd) != 1 || SSL_set1_host(ssl, child.host) != 1 ||
	    SSL_set_tlsext_host_name(ssl, child.host) != 1 ||
	    SSL_set_alpn_protos(ssl, protocol, sizeof(protocol) - 1) != 0) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

static bool make_secure(SSL *ssl)
{
	int result;

	do
		result = SSL_connect(ssl);
	while (result != 1 && may_go_on(ssl, result));
	if (result == 1 && SSL_get_verify_result(ssl) == X509_V_OK)
		return true;
	if (child.untrusted != 0)
		say(FETCH_UNTRUSTED, "the certificate of %s at %s: %s",
		    child.host, child.where,
		    X509_verify_cert_error_string(child.untrusted));
	else if (!is_late())
		say(FETCH_FAILED, "no TLS with %s at %s%s%s", child.host,
		    child.where, child.alert[0] != '\0' ? ": alert " : "",
		    child.alert);
	return false;
}

/* STS-20, STS-27: nothing conditional, nothing encoded. */
static bool send_request(SSL *ssl)
{
	char request[HOST_MAX + 256];
	int length, result;

	length = snprintf(request, sizeof(request),
	    "GET /.well-known/mta-sts.txt HTTP/1.1\r\n"
	    "Host: %s\r\nUser-Agent: postern\r\nAccept: text/plain\r\n"
	    "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
	    child.host);
	do
		result = SSL_write(ssl, request, length);
	while (result <= 0 && may_go_on(ssl, result));
	if (result <= 0 && !is_late())
		say(FETCH_FAILED, "%s at %s closes before it was asked",
		    child.host, child.where);
	return result > 0;
}

/* True when the response ended, one way or the other. */
static bool read_response(SSL *ssl, struct response *response)
{
	char data[8192];
	int result;

	for (;;) {
		result = SSL_read(ssl, data, sizeof(data));
		if (result > 0) {
			if (!response_add(response, data, (size_t)result))
				return true;
			if (is_late())
				return false;
		} else if (!may_go_on(ssl, result)) {
			break;
		}
	}
	if (is_late())
		return false;
	response_close(response,
	    SSL_get_error(ssl, result) == SSL_ERROR_ZERO_RETURN);
	return true;
}

static void converse(SSL *ssl)
{
	struct response response;

	response_init(&response);
	if (make_secure(ssl) && send_request(ssl) &&
	    read_response(ssl, &response)) {
		if (response.result == FETCH_BODY) {
			child.answer.result = FETCH_BODY;
			child.answer.problem[0] = '\0';
			child.answer.length = buf_length(&response.body);
			child.answer.body = buf_take(&response.body);
		} else {
			say(response.result, "%s %s", child.host,
			    response.problem);
		}
	}
	response_release(&response);
}

static void attempt(SSL_CTX *context, const struct endpoint *address,
    int64_t milliseconds)
{
	SSL *ssl;
	int fd;

	child.untrusted = 0;
	child.alert[0] = '\0';
	child.deadline = clock_monotonic() + milliseconds;
	endpoint_format(address, child.where, sizeof(child.where));
	fd = open_connection(address);
	if (fd == -1)
		return;
	ERR_clear_error();
	ssl = make_session(context, fd);
	if (ssl == NULL)
		say(FETCH_OURS, "no memory for a connection");
	else
		converse(ssl);
	SSL_free(ssl);
	close(fd);
}

/* --- the child: its life --- */

/* What is known best: a certificate that was refused before silence. */
static void try_all(SSL_CTX *context, const struct fetch_question *question)
{
	int64_t deadline = clock_monotonic() + question->milliseconds;
	struct fetch_answer worst = { .result = FETCH_OURS };
	size_t i;

	for (i = 0; i < question->count; i++) {
		int64_t left = deadline - clock_monotonic();

		if (left <= 0)
			break;
		attempt(context, &question->addresses[i],
		    left / (int64_t)(question->count - i));
		if (child.answer.result == FETCH_BODY)
			return;
		if (worst.result == FETCH_OURS ||
		    child.answer.result == FETCH_UNTRUSTED)
			worst = child.answer;
	}
	child.answer = worst;
}

static void limit(int resource, rlim_t most)
{
	struct rlimit limits;

	if (getrlimit(resource, &limits) == 0 && (limits.rlim_max ==
	    RLIM_INFINITY || limits.rlim_max > most)) {
		limits.rlim_cur = limits.rlim_max = most;
		setrlimit(resource, &limits);
	}
}

/* Beside what it has of the role's, which may be a lot. */
static void limit_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		limit(RLIMIT_DATA, CHILD_BYTES +
		    (rlim_t)usage.ru_maxrss * 1024);
#endif
}

/*
 * Nothing of the role's stays open but the log. Handlers of signals go first:
 * libevent's would write to a descriptor that is somebody else's by then.
 */
static void shed(int result_fd, pid_t parent)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;
	int number;

	for (number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP)
			sigaction(number, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (result_fd != RESULT_FD && dup2(result_fd, RESULT_FD) == -1)
		_exit(1);
	if (close_range(RESULT_FD + 1, ~0U, 0) == -1)
		for (number = RESULT_FD + 1; number < 65536; number++)
			close(number);
	prctl(PR_SET_NAME, "postern-fetch", 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	limit(RLIMIT_NOFILE, CHILD_FILES);
	limit(RLIMIT_CPU, CHILD_SECONDS);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_CORE, 0);
	limit_memory();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void send_answer(void)
{
	struct wire_writer writer;
	struct buf message;
	const char *data;
	size_t left;

	buf_init(&message, MESSAGE_MAX);
	wire_write_begin(&writer, &message);
	wire_put_u8(&writer, MESSAGE_VERSION);
	wire_put_u8(&writer, (uint8_t)child.answer.result);
	wire_put_text(&writer, child.answer.problem);
	wire_put_bytes(&writer, child.answer.body, child.answer.length);
	if (wire_write_end(&writer) != 0)
		_exit(1);
	data = buf_data(&message);
	left = buf_length(&message);
	while (left > 0) {
		ssize_t n = write(RESULT_FD, data, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		data += n;
		left -= (size_t)n;
	}
}

static void child_run(const struct fetcher *fetcher,
    const struct fetch_question *question) __attribute__((noreturn));

static void child_run(const struct fetcher *fetcher,
    const struct fetch_question *question)
{
	/* A second line behind the deadline and the parent's timer. */
	alarm((unsigned)(question->milliseconds / 1000) + 2);
	memset(&child, 0, sizeof(child));
	snprintf(child.host, sizeof(child.host), "mta-sts.%s",
	    question->domain);
	try_all(fetcher->context, question);
	send_answer();
	_exit(0);
}

/* --- the parent --- */

static void end_child(struct fetch *fetch)
{
	if (fetch->pid == 0)
		return;
	kill(fetch->pid, SIGKILL);
	while (waitpid(fetch->pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	fetch->pid = 0;
}

void fetch_cancel(struct fetch *fetch)
{
	int fd = fetch->watch.fd;

	timer_stop(&fetch->timer);
	watch_release(&fetch->watch);
	if (fd != -1)
		close(fd);
	end_child(fetch);
	buf_release(&fetch->reply);
	mem_free(fetch);
}

static void finish(void *arg)
{
	struct fetch *fetch = arg;

	/* The child is gone before anybody hears: the next may start. */
	end_child(fetch);
	fetch->done(fetch->arg, &fetch->answer);
	fetch_cancel(fetch);
}

static void set_answer(struct fetch_answer *answer, enum fetch_result result,
    const char *problem)
{
	answer->result = result;
	answer->body = NULL;
	answer->length = 0;
	snprintf(answer->problem, sizeof(answer->problem), "%s", problem);
}

/* Into what a log line and a report can hold. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}

void fetch_read_message(const void *message, size_t length,
    struct fetch_answer *answer)
{
	struct arena *arena = arena_new(4096);
	struct wire_reader reader;
	uint8_t version;

	wire_read_begin(&reader, message, length);
	version = wire_get_u8(&reader);
	answer->result = wire_get_enum(&reader, FETCH_RESULTS);
	snprintf(answer->problem, sizeof(answer->problem), "%s",
	    wire_get_text(&reader, arena, PROBLEM_MAX));
	make_printable(answer->problem);
	answer->body = wire_get_bytes(&reader, STS_BODY_MAX, &answer->length);
	/* A body or a problem, and not both. */
	if (wire_read_end(&reader) != 0 || version != MESSAGE_VERSION ||
	    (answer->result == FETCH_BODY) != (answer->problem[0] == '\0') ||
	    (answer->result != FETCH_BODY && answer->length != 0))
		set_answer(answer, FETCH_OURS,
		    "the process that fetches ended without an answer");
	arena_free(arena);
}

static void on_reply(void *arg, int flags)
{
	struct fetch *fetch = arg;
	size_t room = buf_room(&fetch->reply);
	char *into;
	ssize_t n;

	(void)flags;
	if (room == 0) {
		set_answer(&fetch->answer, FETCH_FAILED,
		    "the process that fetches says too much");
		finish(fetch);
		return;
	}
	into = buf_reserve(&fetch->reply, room < 16384 ? room : 16384);
	n = read(fetch->watch.fd, into, room < 16384 ? room : 16384);
	if (n > 0) {
		buf_commit(&fetch->reply, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	fetch_read_message(buf_data(&fetch->reply),
	    buf_length(&fetch->reply), &fetch->answer);
	finish(fetch);
}

static void on_deadline(void *arg)
{
	struct fetch *fetch = arg;

	set_answer(&fetch->answer, FETCH_FAILED, "the fetch took too long");
	finish(fetch);
}

/* The answer is known already; it comes from the loop all the same. */
static struct fetch *answer_later(struct fetch *fetch,
    enum fetch_result result, const char *problem)
{
	set_answer(&fetch->answer, result, problem);
	timer_start(&fetch->timer, 0, finish, fetch);
	return fetch;
}

/* 0, or -1 with errno. The child does not return. */
static int start_child(struct fetch *fetch, const struct fetcher *fetcher,
    const struct fetch_question *question)
{
	sigset_t all, before;
	pid_t parent = getpid();
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	log_flush();	/* or the child would say it again */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	fetch->pid = fork();
	error = errno;
	if (fetch->pid == 0) {
		shed(ends[1], parent);
		child_run(fetcher, question);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (fetch->pid == -1) {
		close(ends[0]);
		fetch->pid = 0;
		errno = error;
		return -1;
	}
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1)
		fatal("cannot set up a pipe", log_errno(errno));
	watch_init(&fetch->watch, ends[0], on_reply, fetch);
	watch_set(&fetch->watch, WATCH_READ);
	return 0;
}

struct fetch *fetch_start(struct fetcher *fetcher,
    const struct fetch_question *question, fetch_done *done, void *arg)
{
	struct endpoint addresses[FETCH_ADDRESSES_MAX];
	struct fetch_question asked = *question;
	struct fetch *fetch = mem_alloc(sizeof(*fetch));
	size_t i;

	fetch->done = done;
	fetch->arg = arg;
	fetch->watch.fd = -1;
	buf_init(&fetch->reply, MESSAGE_MAX);
	asked.addresses = addresses;
	asked.count = 0;
	for (i = 0; i < question->count &&
	    asked.count < FETCH_ADDRESSES_MAX; i++)
		if (fetch_is_public(&question->addresses[i],
		    question->allow_loopback))
			addresses[asked.count++] = question->addresses[i];
	if (asked.count == 0)
		return answer_later(fetch, FETCH_FAILED, question->count == 0 ?
		    "the policy host has no address" :
		    "the policy host has no public address");
	if (!fetcher->trusts)
		return answer_later(fetch, FETCH_OURS,
		    "there are no CA certificates to trust");
	if (start_child(fetch, fetcher, &asked) == -1) {
		log_error("cannot start a fetch", log_errno(errno));
		return answer_later(fetch, FETCH_OURS,
		    "no process for the fetch can be started");
	}
	timer_start(&fetch->timer, question->milliseconds +
	    GRACE_MILLISECONDS, on_deadline, fetch);
	return fetch;
}
