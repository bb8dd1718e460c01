/* SPDX-License-Identifier: ISC */
/*
 * The supervisor: reads the configuration, opens what needs rights, starts the
 * roles, gives each pair that may talk a channel, starts again what dies,
 * reloads, and stops everything in order. It speaks with nobody outside but
 * the operator's command, whose request it reads as sixteen bytes.
 */
#ifndef POSTERN_TOOLS_SUPERVISOR_H
#define POSTERN_TOOLS_SUPERVISOR_H

/* Runs until told to stop; the exit status of the command. */
int	 supervisor_run(const char *configuration_path);

#endif
