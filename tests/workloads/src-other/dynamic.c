/* A dynamically linked program: triggers LoaderMissing in a root file system without the loader. */
#include <stdio.h>

int main(void)
{
	puts("hello");
	return 0;
}
