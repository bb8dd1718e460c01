/* SPDX-License-Identifier: ISC */
/*
 * Sub-commands of `postern queue` that have a file of their own.
 */
#ifndef POSTERN_TOOLS_COMMAND_QUEUE_H
#define POSTERN_TOOLS_COMMAND_QUEUE_H

#include "tools/queue_request.h"

/* command_queue_look.c */
extern const struct queue_command	 queue_command_list,
		    queue_command_show, queue_command_cat;
/* command_queue_change.c */
extern const struct queue_command	 queue_command_hold,
		    queue_command_release, queue_command_retry,
		    queue_command_delete, queue_command_bounce,
		    queue_command_set_tls, queue_command_redirect;
/* command_queue_stats.c, command_queue_top.c */
extern const struct queue_command	 queue_command_stats,
		    queue_command_top;
/* command_queue_orders.c */
extern const struct queue_command	 queue_command_pause,
		    queue_command_resume, queue_command_pauses,
		    queue_command_hold_rule;
/* command_queue_history.c, command_queue_export.c, command_queue_import.c */
extern const struct queue_command	 queue_command_history,
		    queue_command_export, queue_command_import;
/* command_queue_backup.c */
extern const struct queue_command	 queue_command_backup,
		    queue_command_verify;

#endif
