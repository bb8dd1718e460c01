/* SPDX-License-Identifier: ISC */
/*
 * postern conf: check, print, sample, manual.
 */
#include "tools/command.h"

#include <stdio.h>

#include "base/control.h"
#include "conf/conf.h"
#include "conf/print.h"
#include "tools/control_client.h"

static int	conf_check(int argc, char **argv);
static int	conf_show(int argc, char **argv);
static int	conf_sample(int argc, char **argv);
static int	conf_manual(int argc, char **argv);

static const struct command table[] = {
	{ "check", "[-c FILE]", "read the file as the server would and say "
	    "what is wrong with it", conf_check },
	{ "print", "[-c FILE]", "print the configuration in force, defaults "
	    "included", conf_show },
	{ "sample", "", "print every option with its meaning and default",
	    conf_sample },
	{ "manual", "", "print the list of options as postern.conf(5) has it",
	    conf_manual },
};
enum { CHECK, PRINT, SAMPLE, MANUAL };

static int begin(int which, struct command_options *options, int argc,
    char **argv)
{
	int status = command_read_options("postern conf", &table[which],
	    options, &argc, &argv);

	if (status == -1 && argc > 0)
		status = command_usage("postern conf", &table[which],
		    "this command takes no operands");
	return status;
}

static int conf_check(int argc, char **argv)
{
	struct command_options options;
	struct conf *conf;
	int status = begin(CHECK, &options, argc, argv);

	if (status != -1)
		return status;
	conf = control_client_conf(options.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	if (conf->warnings != NULL)
		control_client_complain(conf->warnings);
	printf("%s: no mistake found (\"postern check\" also looks at "
	    "certificates, ports and directories)\n", options.configuration);
	conf_free(conf);
	return CONTROL_OK;
}

static int conf_show(int argc, char **argv)
{
	struct command_options options;
	struct conf *conf;
	int status = begin(PRINT, &options, argc, argv);

	if (status != -1)
		return status;
	conf = control_client_conf(options.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	conf_print(stdout, conf);
	conf_free(conf);
	return CONTROL_OK;
}

static int conf_sample(int argc, char **argv)
{
	struct command_options options;
	int status = begin(SAMPLE, &options, argc, argv);

	if (status == -1) {
		conf_print_sample(stdout);
		status = CONTROL_OK;
	}
	return status;
}

static int conf_manual(int argc, char **argv)
{
	struct command_options options;
	int status = begin(MANUAL, &options, argc, argv);

	if (status == -1) {
		conf_print_manual(stdout);
		status = CONTROL_OK;
	}
	return status;
}

int command_conf(int argc, char **argv)
{
	return command_dispatch("postern conf", table,
	    sizeof(table) / sizeof(table[0]), argc, argv);
}
