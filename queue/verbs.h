/* SPDX-License-Identifier: ISC */
/*
 * The operator's verbs, answered as README says; and the queue they work on
 * (one in a process).
 */
#ifndef POSTERN_QUEUE_VERBS_H
#define POSTERN_QUEUE_VERBS_H

#include "base/control.h"

struct queue;

struct queue	*verbs_queue(void);

control_handler	 verb_list, verb_show, verb_stats, verb_top, verb_cat, verb_hold,
	    verb_release, verb_retry, verb_flush, verb_delete, verb_bounce,
	    verb_set_tls, verb_redirect,
	    verb_rule_add, verb_rule_list, verb_rule_remove, verb_pause,
	    verb_resume, verb_history, verb_export, verb_import, verb_backup,
	    verb_verify;

/* The connections of imports are not among those of base/control.h. */
void	 verb_import_end_all(void);
/* After the commands were ended and the store was closed. */
void	 verb_backup_end_all(void);

#endif
