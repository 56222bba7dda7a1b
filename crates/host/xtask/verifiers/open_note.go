// SPDX-License-Identifier: Apache-2.0

// Prints the text of a signed note, by the note package of Go's checksum database: open VKEY FILE.
package main

import (
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
)

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	check(err)
	file, err := os.ReadFile(os.Args[2])
	check(err)
	opened, err := note.Open(file, note.VerifierList(verifier))
	check(err)
	fmt.Print(opened.Text)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
