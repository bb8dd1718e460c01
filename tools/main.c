/* SPDX-License-Identifier: ISC */
/*
 * Where the program begins, and nothing else.
 */
#include "tools/command.h"

int main(int argc, char **argv)
{
	return command_main(argc, argv);
}
