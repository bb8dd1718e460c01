/* SPDX-License-Identifier: ISC */
/*
 * postern queue: the list of its sub-commands. tools/queue_request.h says how
 * their lines are read.
 */
#include "tools/command_queue.h"

#include <string.h>

#include "tools/command.h"
#include "tools/queue_complete.h"

static const struct queue_command *const commands[] = {
	&queue_command_list, &queue_command_show, &queue_command_cat,
	&queue_command_hold, &queue_command_release, &queue_command_retry,
	&queue_command_delete, &queue_command_bounce,
	&queue_command_redirect, &queue_command_set_tls,
	&queue_command_stats, &queue_command_top,
	&queue_command_pause, &queue_command_resume, &queue_command_pauses,
	&queue_command_hold_rule,
	&queue_command_history, &queue_command_export,
	&queue_command_import, &queue_command_backup, &queue_command_verify,
	NULL
};

int command_queue(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--complete") == 0)
		return queue_complete(commands, argc - 2, argv + 2);
	return queue_request_dispatch("postern queue", commands, argc, argv);
}
