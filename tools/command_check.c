/* SPDX-License-Identifier: ISC */
/*
 * postern check: everything that can be known before starting. It reads the
 * configuration and its files as the supervisor does, opens the certificates,
 * tries the ports, looks at users and directories, and says what the outside
 * will see. Nothing is changed.
 */
#include "tools/command.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "tools/certificates.h"
#include "tools/control_client.h"
#include "tools/directories.h"
#include "tools/listeners.h"

static const struct command check_command = { "check", "[-c FILE]",
    "Checks configuration, certificates, ports, users and directories, and "
    "says\nwhat the outside will see. Nothing is started or changed.",
    command_check };

struct finding {
	unsigned	 problems;
};

static void complain(struct finding *finding, const char *text)
{
	printf("PROBLEM  %s\n", text);
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

static void check_ports(struct finding *finding, const struct conf *conf)
{
	struct listeners listeners;
	char *errors = NULL;
	size_t i;

	if (control_client_try(conf) == 0) {
		printf("note     a server runs with this control socket: "
		    "whether its ports\n         are free was not tried\n");
		return;
	}
	if (listeners_open(&listeners, conf, NULL, &errors) == -1) {
		complain(finding, errors);
		mem_free(errors);
		return;
	}
	for (i = 0; i < listeners.count; i++)
		printf("ok       can listen on %s\n",
		    listeners.items[i].name);
	listeners_release(&listeners);
}

static void check_user(struct finding *finding, const struct conf *conf,
    enum role role)
{
	char *user = directories_user(conf, role);
	char text[512];

	if (user[0] != '\0' && getpwnam(user) == NULL) {
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

static void describe_listener(const struct conf *conf,
    const struct conf_listener *listener)
{
	bool tls = conf->certificate_count > 0 &&
	    listener->tls != LISTENER_TLS_NONE;

	printf("  port %d: \"220 %s ESMTP\", STARTTLS %s%s\n",
	    (int)listener->port, conf->hostname, !tls ? "not offered" :
	    listener->tls == LISTENER_TLS_REQUIRE ? "demanded" : "offered",
	    tls && conf->requiretls ? ", REQUIRETLS behind it" : "");
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
	printf("  mail for others is accepted from %zu network(s) only\n",
	    conf->relay_from.count);
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
		printf("advice   %s\n", conf->warnings);
	check_certificates(&finding, conf, bundle);
	check_ports(&finding, conf);
	for (role = ROLE_SMTPD; role < ROLE_COUNT; role++)
		check_user(&finding, conf, role);
	check_directory(&finding, conf->queue_directory);
	check_directory(&finding, conf->mail_directory);
	check_directory(&finding, conf->run_directory);
	describe(conf);
	log_flush();
	bundle_free(bundle);
	conf_free(conf);
	if (finding.problems == 0)
		return CONTROL_OK;
	printf("\n%u problem(s) found\n", finding.problems);
	return CONTROL_CONFIG;
}
