/* Writes through a null pointer: triggers Crashed by SIGSEGV. (A signal sent to itself would not end the first
   process of a pid namespace; a fault does.) */
int main(void)
{
	*(volatile int *)0 = 1;
	return 0;
}
