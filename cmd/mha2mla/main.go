// Command mha2mla converts MHA and GQA checkpoints to multi-head latent
// attention.
package main

import (
	"os"

	"github.com/mha2mla/mha2mla/internal/cli"
)

func main() {
	os.Exit(cli.Main())
}
