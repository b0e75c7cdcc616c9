/* The library of greet.c. */
#include <stdio.h>

int greet(void)
{
	puts("hello");
	return 0;
}
