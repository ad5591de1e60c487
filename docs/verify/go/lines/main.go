// Command lines does what it is told line by line, as docs/verify/README.md says, so that a test can have it do several things at once: `cd docs/verify/go && go run ./lines`.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	passport "example.com/passport"
)

// clocks are set by lines and read by verifiers, at any time.
type clocks struct {
	mutex           sync.Mutex
	wall, monotonic time.Duration
}

func (c *clocks) set(wall, monotonic time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.wall, c.monotonic = wall, monotonic
}

func (c *clocks) get() (wall, monotonic time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.wall, c.monotonic
}

func main() {
	var given clocks
	var verifier *passport.Verifier
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "verifier":
			verifier = passport.NewVerifier(words[1], words[2], words[3])
			verifier.Now = func() time.Time {
				wall, _ := given.get()
				return time.Unix(0, int64(wall))
			}
			verifier.Elapsed = func() time.Duration {
				_, monotonic := given.get()
				return monotonic
			}
		case "clocks":
			given.set(seconds(words[1]), seconds(words[2]))
		default:
			go answer(verifier, words[1], words[2:])
		}
	}
}

func answer(verifier *passport.Verifier, name string, passports []string) {
	said := "accepted"
	if _, err := verifier.Verify(passports); err != nil {
		said = err.Error()
	}
	fmt.Printf("%s %s\n", name, said)
}

func seconds(text string) time.Duration {
	value, _ := strconv.ParseFloat(text, 64)
	return time.Duration(value * float64(time.Second))
}
