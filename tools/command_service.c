/* SPDX-License-Identifier: ISC */
/*
 * postern run, stop, reload, status: the life of the service.
 */
#include "tools/command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/control.h"
#include "conf/conf.h"
#include "tools/control_client.h"
#include "tools/supervisor.h"

static const struct command run_command = { "run", "[-c FILE]",
    "Starts the server and stays in the foreground; the log goes to standard "
    "error.\nSIGHUP reloads, SIGTERM stops.", command_run };
static const struct command stop_command = { "stop", "[-c FILE]",
    "Stops the running server: mail in flight is finished, the rest stays in "
    "the queue.", command_stop };
static const struct command reload_command = { "reload", "[-c FILE]",
    "Reads configuration and certificates again without dropping a session. "
    "If\nanything is wrong the old state stays in force and the reason is "
    "printed.", command_reload };
static const struct command status_command = { "status", "[-c FILE] [-j]",
    "Shows processes and listeners of the running server.", command_status };

/* Options and operands of a command that takes no operands. */
static int begin(const struct command *command,
    struct command_options *options, int argc, char **argv)
{
	int status = command_read_options("postern", command, options, &argc,
	    &argv);

	if (status == -1 && argc > 0)
		status = command_usage("postern", command,
		    "this command takes no operands");
	return status;
}

int command_run(int argc, char **argv)
{
	struct command_options options;
	int status = begin(&run_command, &options, argc, argv);

	return status == -1 ? supervisor_run(options.configuration) : status;
}

static void take_pid(void *arg, const json_t *object)
{
	*(pid_t *)arg = (pid_t)json_integer_value(json_object_get(object,
	    "pid"));
}

/* Until the process is gone; its own deadline kills what hangs. */
static int wait_until_gone(pid_t pid, int64_t seconds)
{
	struct timespec pause = { .tv_nsec = 50 * 1000000 };
	int64_t turns = seconds * 20;

	while (turns-- > 0) {
		if (kill(pid, 0) == -1 && errno == ESRCH)
			return CONTROL_OK;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "postern: process %d has not ended\n", (int)pid);
	return CONTROL_TEMPORARY;
}

int command_stop(int argc, char **argv)
{
	struct command_options options;
	struct conf *conf;
	pid_t pid = 0;
	int status = begin(&stop_command, &options, argc, argv);

	if (status != -1)
		return status;
	conf = control_client_conf(options.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	status = control_client_tell(conf, CONTROL_STOP, take_pid, &pid);
	if (status == CONTROL_OK && pid > 0)
		status = wait_until_gone(pid, conf->stop_seconds + 10);
	conf_free(conf);
	return status;
}

/* The new file may be the broken one: the socket's path is taken from it only
 * if it can be read, which is what the operator is told otherwise. */
int command_reload(int argc, char **argv)
{
	struct command_options options;
	struct conf *conf;
	int status = begin(&reload_command, &options, argc, argv);

	if (status != -1)
		return status;
	conf = control_client_conf(options.configuration);
	if (conf == NULL) {
		fprintf(stderr, "postern: not reloaded: the server keeps its "
		    "old configuration\n");
		return CONTROL_CONFIG;
	}
	status = control_client_tell(conf, CONTROL_RELOAD, NULL, NULL);
	conf_free(conf);
	return status;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "-" : text;
}

static int number_of(const json_t *object, const char *key)
{
	return (int)json_integer_value(json_object_get(object, key));
}

static void print_status(void *arg, const json_t *object)
{
	const bool *json = arg;

	if (*json) {
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (json_object_get(object, "listener") != NULL) {
		printf("listening %s\n", text_of(object, "listener"));
	} else if (json_object_get(object, "configuration") != NULL) {
		printf("postern on %s, %s, process %d since %s, %s\n",
		    text_of(object, "hostname"), json_is_true(json_object_get(
		    object, "serving")) ? "serving" : "starting",
		    number_of(object, "pid"), text_of(object, "since"),
		    text_of(object, "configuration"));
	} else {
		printf("%-10s %2d  %-9s process %-7d since %s  restarts %d\n",
		    text_of(object, "role"), number_of(object, "instance"),
		    text_of(object, "state"), number_of(object, "pid"),
		    text_of(object, "since"), number_of(object, "restarts"));
	}
}

int command_status(int argc, char **argv)
{
	struct command_options options;
	struct conf *conf;
	int status = begin(&status_command, &options, argc, argv);

	if (status != -1)
		return status;
	conf = control_client_conf(options.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	status = control_client_tell(conf, CONTROL_STATUS, print_status,
	    &options.json);
	conf_free(conf);
	return status;
}
