/* SPDX-License-Identifier: ISC */
/*
 * Where postern-lab begins, and nothing else.
 */
#include "tools/command.h"
#include "tools/lab/lab.h"

int main(int argc, char **argv)
{
	return command_end(lab_main(argc, argv));
}
