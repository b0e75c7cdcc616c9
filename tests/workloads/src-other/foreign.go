// Built for an architecture that this machine is not: it never runs here. It imports nothing, so that little is compiled for it.
package main

func main() { println("this is the machine that it was built for") }
