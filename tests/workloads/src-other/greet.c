/* Uses libgreet.so.1: triggers LibraryMissing where the library was not copied along. */
extern int greet(void);

int main(void)
{
	return greet();
}
