// A web server in Go: static, without cgo. With a key file as second argument it leaves when it cannot read it, as TLS
// servers do.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	port := "8080"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	if len(os.Args) > 2 {
		key, err := os.ReadFile(os.Args[2])
		if err != nil {
			log.Fatalf("reading key: %v", err)
		}
		log.Printf("read a key of %d bytes", len(key))
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	log.Printf("listening on port %s", port)
	log.Fatal(http.ListenAndServe(":"+port, nil))
}
