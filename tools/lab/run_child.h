/* SPDX-License-Identifier: ISC */
/*
 * Processes inside a world. The caller is the first process of the namespace,
 * so whatever loses its parent becomes ours to bury: everything is reaped
 * here. Each child is the leader of a process group, and is ended with it.
 */
#ifndef POSTERN_TOOLS_LAB_RUN_CHILD_H
#define POSTERN_TOOLS_LAB_RUN_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct lab_child {
	pid_t	 pid;		/* 0: none */
	bool	 ended;
	int	 status;	/* as waitpid(2) has it, once it has ended */
};

/* Forks; 0 in the child, which has a group of its own. log becomes its standard
 * output and error. The struct stays until lab_child_forget() or _kill(). */
pid_t	 lab_child_fork(struct lab_child *child, int log);
/* The same for a process that was forked otherwise. */
void	 lab_child_adopt(struct lab_child *child, pid_t pid);
void	 lab_child_forget(struct lab_child *child);
/* Buries whoever has ended; known children are marked. */
void	 lab_children_reap(void);
/* Ends the child's whole group and waits until nobody of it is left. */
void	 lab_child_kill(struct lab_child *child);

#endif
