/* SPDX-License-Identifier: ISC */
/*
 * postern check: everything that can be known before starting. It reads the
 * configuration and its files as the supervisor does, opens the certificates,
 * tries the ports and the filters, looks at users and directories, and says
 * what the outside will see. Nothing is changed.
 */
#include "tools/command.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/table.h"
#include "base/tls.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "delivery/credentials.h"
#include "policy/expand.h"
#include "tools/certificates.h"
#include "tools/control_client.h"
#include "tools/directories.h"
#include "tools/listeners.h"

static const struct command check_command = { "check", "[-c FILE]",
    "Checks configuration, certificates, ports, filters, users and "
    "directories, and\nsays what the outside will see. Nothing is started or "
    "changed.",
    command_check };

enum { FILTER_WAIT_MS = 2000 };

struct finding {
	unsigned	 problems;
};

/* Each line of text. */
static void say(const char *kind, const char *text)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		if (length > 0)
			printf("%-9s%.*s\n", kind, (int)length, text);
		text += length + (text[length] == '\n');
	}
}

static void complain(struct finding *finding, const char *text)
{
	say("PROBLEM", text);
	finding->problems++;
}

static void check_certificates(struct finding *finding,
    const struct conf *conf, const struct bundle *bundle)
{
	char *errors = NULL;

	if (certificates_check(conf, bundle, &errors) == -1)
		complain(finding, errors);
	else if (conf->certificate_count == 0)
		printf("note     no certificate: STARTTLS is not offered to "
		    "those who send to us\n");
	else
		printf("ok       %zu certificate(s) with their keys\n",
		    conf->certificate_count);
	mem_free(errors);
}

/* Not a Unix socket: its directory is made at the first start. */
static void check_port(struct finding *finding,
    const struct conf_listener *listener)
{
	struct conf alone = { .listeners = (struct conf_listener *)listener,
	    .listener_count = 1 };
	struct listeners listeners;
	char *errors = NULL;
	size_t i;

	if (listener->socket[0] != '\0')
		return;
	if (listeners_open(&listeners, &alone, NULL, &errors) == -1) {
		complain(finding, errors);
		mem_free(errors);
		return;
	}
	for (i = 0; i < listeners.count; i++)
		printf("ok       can listen on %s\n",
		    listeners.items[i].name);
	listeners_release(&listeners);
}

/* A table that is older than its text is not wrong, but seldom meant. */
static void check_table(const struct bundle_file *file)
{
	const char *source = table_source(file->table);
	struct stat made, written;

	printf("ok       %s: %zu %s\n", file->path, table_count(file->table),
	    table_kind(file->table));
	if (stat(file->path, &made) == 0 && stat(source, &written) == 0 &&
	    written.st_mtime > made.st_mtime)
		printf("advice   %s was changed after %s was made of it: run "
		    "postern table build\n", source, file->path);
}

/* Users and aliases, read as the directory does. */
static void check_addresses(struct finding *finding, const struct conf *conf,
    const struct bundle *bundle)
{
	char *errors = NULL, *advice = NULL;
	struct expander *expander = expander_new(conf, bundle, &errors,
	    &advice);

	for (size_t i = 0; i < bundle->file_count; i++)
		if (bundle->files[i].table != NULL)
			check_table(&bundle->files[i]);
	if (expander == NULL)
		complain(finding, errors);
	else if (conf->domain_count > 0)
		printf("ok       users and aliases of %zu domain(s)\n",
		    conf->domain_count);
	if (advice != NULL)
		say("advice", advice);
	expander_free(expander);
	mem_free(errors);
	mem_free(advice);
}

/* What routes log in with, read as delivery does. */
static void check_credentials(struct finding *finding,
    const struct conf *conf, const struct bundle *bundle)
{
	char error[512];
	size_t i;

	for (i = 0; i < conf->route_count; i++) {
		const struct bundle_file *file = bundle_file(bundle,
		    conf->routes[i].credentials_file);
		struct credentials *read;

		if (file == NULL)
			continue;
		read = credentials_read(file->path, file->contents, error,
		    sizeof(error));
		if (read == NULL)
			complain(finding, error);
		else
			printf("ok       credentials of %s for route %s\n",
			    read->user, conf->routes[i].pattern);
		credentials_free(read);
	}
}

static void check_ports(struct finding *finding, const struct conf *conf)
{
	size_t i;

	if (control_client_try(conf) == 0) {
		printf("note     a server runs with this control socket: "
		    "whether its ports\n         are free was not tried\n");
		return;
	}
	for (i = 0; i < conf->listener_count; i++)
		check_port(finding, &conf->listeners[i]);
}

/* The others are always there. */
static bool is_used(const struct conf *conf, enum role role)
{
	size_t i;

	for (i = 0; role == ROLE_STS && i < conf->listener_count; i++)
		if (conf->listeners[i].service == SERVICE_MTA_STS)
			return true;
	return role != ROLE_STS;
}

static void check_user(struct finding *finding, const struct conf *conf,
    enum role role)
{
	char *user = directories_user(conf, role);
	char text[512];

	if (is_used(conf, role) && user[0] != '\0' &&
	    getpwnam(user) == NULL) {
		snprintf(text, sizeof(text), "there is no user \"%s\" for %s: "
		    "run systemd-sysusers, or set drop-privileges = no", user,
		    role_name(role));
		complain(finding, text);
	}
	mem_free(user);
}

static void check_directory(struct finding *finding, const char *path)
{
	struct stat status;
	char text[1024];

	if (stat(path, &status) == -1 && errno == ENOENT) {
		printf("note     %s does not exist yet: it will be made\n",
		    path);
	} else if (stat(path, &status) == -1 || !S_ISDIR(status.st_mode)) {
		snprintf(text, sizeof(text), "%s: %s", path, errno != 0 ?
		    strerror(errno) : "not a directory");
		complain(finding, text);
	} else {
		printf("ok       %s\n", path);
	}
}

/* 0, or an errno. Whether anybody listens; what he speaks is not tried. */
static int try_connection(const struct sockaddr *address, socklen_t length)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	int error = fd == -1 || connect(fd, address, length) == -1 ? errno : 0;
	socklen_t size = sizeof(error);

	if (error == EINPROGRESS && poll(&wait, 1, FILTER_WAIT_MS) == 0)
		error = ETIMEDOUT;
	else if (error == EINPROGRESS)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (fd != -1)
		close(fd);
	return error;
}

/* A filter that is started later is no mistake. */
static void check_filter(const struct conf_milter *milter)
{
	static const char *const words[] = {
		[FILTER_TEMPFAIL] = "mail is asked to come later",
		[FILTER_ACCEPT] = "mail goes past it",
		[FILTER_REJECT] = "mail is refused" };
	char *place = milter->socket[0] != '\0' ?
	    mem_dup_string(milter->socket) :
	    mem_print("%s port %d", milter->host, (int)milter->port);
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct endpoint remote;
	int error;

	if (milter->socket[0] != '\0') {
		snprintf(local.sun_path, sizeof(local.sun_path), "%s",
		    milter->socket);
		error = try_connection((struct sockaddr *)&local,
		    sizeof(local));
	} else if (endpoint_parse(&remote, milter->host,
	    (uint16_t)milter->port) == 0) {
		error = try_connection(&remote.address.any, remote.length);
	} else {
		error = EINVAL;
	}
	if (error == 0)
		printf("ok       milter %s answers at %s\n", milter->name,
		    place);
	else
		printf("advice   milter %s: %s: %s; as long as that is so, "
		    "%s\n", milter->name, place, strerror(error),
		    words[milter->failure]);
	mem_free(place);
}

static const char *tls_words(enum conf_listener_tls tls, bool possible)
{
	if (!possible)
		return "STARTTLS not offered";
	switch (tls) {
	case LISTENER_TLS_REQUIRE: return "STARTTLS demanded";
	case LISTENER_TLS_IMPLICIT: return "TLS from the first byte";
	default: return "STARTTLS offered";
	}
}

static void describe_listener(const struct conf *conf,
    const struct conf_listener *listener)
{
	bool tls = conf->certificate_count > 0 &&
	    listener->tls != LISTENER_TLS_NONE;

	if (listener->service == SERVICE_MTA_STS) {
		printf("  port %d: MTA-STS policies by HTTPS\n",
		    (int)listener->port);
		return;
	}
	if (listener->socket[0] != '\0')
		printf("  socket %s:", listener->socket);
	else
		printf("  port %d:", (int)listener->port);
	printf(" \"220 %s %s\", %s%s%s%s\n", conf->hostname,
	    listener->service == SERVICE_LMTP ? "LMTP" : "ESMTP",
	    tls_words(listener->tls, tls),
	    tls && listener->auth ? ", AUTH behind it" : "",
	    tls && conf->requiretls ? ", REQUIRETLS behind it" : "",
	    listener->client_certificates ? ", asking for certificates" : "");
}

/* Who may send to everybody: the widest of all listeners. */
static void describe_relay(const struct conf *conf)
{
	bool networks = false, certificates = false, users = false;

	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *one = &conf->listeners[i];

		networks |= one->relay == RELAY_ANY &&
		    conf->relay_from.count > 0;
		if (one->relay == RELAY_NOBODY)
			continue;
		certificates |= one->client_certificates;
		users |= one->auth;
	}
	printf("  mail for others is accepted from%s\n",
	    networks || certificates || users ? "" : " nobody");
	if (networks)
		printf("    the networks in relay-from\n");
	if (certificates)
		printf("    clients with a listed certificate (`postern "
		    "relay`)\n");
	if (users)
		printf("    users who log in (`postern user`)\n");
}

static void describe(const struct conf *conf)
{
	size_t i;

	printf("\nThe outside will see:\n");
	for (i = 0; i < conf->listener_count; i++)
		describe_listener(conf, &conf->listeners[i]);
	for (i = 0; i < conf->domain_count; i++)
		printf("  mail for %s is accepted (%zu user(s)%s)\n",
		    conf->domains[i].name, conf->domains[i].users.count,
		    conf->domains[i].users_file != NULL &&
		    conf->domains[i].users_file[0] != '\0' ?
		    " and a file of users" : "");
	describe_relay(conf);
}

int command_check(int argc, char **argv)
{
	struct command_options options;
	struct finding finding = { 0 };
	struct bundle *bundle;
	struct conf *conf;
	char *errors = NULL;
	enum role role;
	int status = command_read_options("postern", &check_command, &options,
	    &argc, &argv);

	if (status != -1)
		return status;
	if (argc > 0)
		return command_usage("postern", &check_command,
		    "this command takes no operands");
	log_init("check", LOG_LEVEL_WARN);
	tls_init();
	bundle = bundle_load(options.configuration, &conf, &errors);
	if (bundle == NULL) {
		control_client_complain(errors);
		mem_free(errors);
		return CONTROL_CONFIG;
	}
	printf("ok       %s\n", options.configuration);
	if (conf->warnings != NULL)
		say("advice", conf->warnings);
	check_certificates(&finding, conf, bundle);
	check_credentials(&finding, conf, bundle);
	check_addresses(&finding, conf, bundle);
	check_ports(&finding, conf);
	for (role = ROLE_SMTPD; role < ROLE_COUNT; role++)
		check_user(&finding, conf, role);
	for (size_t i = 0; i < conf->milter_count; i++)
		check_filter(&conf->milters[i]);
	check_directory(&finding, conf->queue_directory);
	check_directory(&finding, conf->mail_directory);
	check_directory(&finding, conf->run_directory);
	check_directory(&finding, conf->drop_directory);
	describe(conf);
	log_flush();
	bundle_free(bundle);
	conf_free(conf);
	if (finding.problems == 0)
		return CONTROL_OK;
	printf("\n%u problem(s) found\n", finding.problems);
	return CONTROL_CONFIG;
}
