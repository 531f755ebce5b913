package file

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/longshore/longshore/pipeline/event"
)

// TestChaos writes, rotates, copies and truncates, compresses, deletes, stops and crashes at
// random. Every line must come exactly once: what comes again after a crash is the same record.
func TestChaos(t *testing.T) {
	for _, glob := range []string{"*.log", "*"} {
		for seed := range uint64(25) {
			poll(t, func(r *rig) {
				r.config.Paths = []string{r.path(glob)}
				r.config.MaxOpenFiles = 16
				c := &chaos{
					rig: r, rand: rand.New(rand.NewPCG(seed, 0)), all: glob == "*",
					came: map[string]int{}, wrote: map[string]int{}, records: map[identity]string{},
				}
				c.feed.SetSpool(1 << 30)
				c.start()
				for range 60 {
					c.step()
				}
				c.pass(copyTimeout + quietTime)
				c.collect()
				if diff := cmp.Diff(c.wrote, c.came); diff != "" {
					t.Errorf("glob %s, seed %d: how often each line came (-want +got)\n%s", glob, seed, diff)
				}
			})
			if t.Failed() {
				return
			}
		}
	}
}

type chaos struct {
	*rig
	rand  *rand.Rand
	all   bool // the glob matches rotated names too
	lines int
	wrote map[string]int
	came  map[string]int
	// records are those that came, by their identity at a destination.
	records map[identity]string
	seen    [3]bool // whether the file at this name was there at a poll
	full    [3]bool // and had a whole line
	made    int     // copies
}

type identity struct {
	source event.SourceID
	pos    uint64
}

func (c *chaos) step() {
	n := c.rand.IntN(3)
	switch c.rand.IntN(15) {
	case 0, 1, 2, 3:
		c.grow(n)
	case 14:
		c.outage()
	case 10:
		c.copyTruncate(n)
	case 11, 12:
		c.compressOne(n)
	case 4:
		c.rotate(n)
	case 5:
		c.settleDown()
		c.empty(n)
	case 6:
		c.pass(2 * copyTimeout)
		c.settleDown()
		c.delete(n)
	case 7:
		c.settleDown()
		c.crash(c.meanwhile)
	default:
		c.settleDown()
	}
}

// outage has the destination away for a while. What is seen of a file is not lost, whatever becomes
// of it before it is read.
func (c *chaos) outage() {
	c.settleDown()
	c.feed.Block(true)
	for range c.rand.IntN(12) {
		n := c.rand.IntN(3)
		switch c.rand.IntN(5) {
		case 0, 1:
			c.append(c.name(n), c.line()+"\n")
		case 2:
			c.settleDown()
			c.shift(n)
		case 3:
			c.settleDown()
			c.delete(n)
		case 4:
			c.settleDown()
		}
	}
	c.feed.Block(false)
	c.settleDown()
}

func (c *chaos) name(n int) string { return fmt.Sprintf("%c.log", 'a'+n) }

func (c *chaos) there(n int) bool {
	_, err := os.Stat(c.path(c.name(n)))
	return err == nil
}

// settleDown lets everything be read.
func (c *chaos) settleDown() {
	c.pass(pollTime)
	for n := range c.seen {
		info, err := os.Stat(c.path(c.name(n)))
		c.seen[n], c.full[n] = err == nil, err == nil && info.Size() > 30
	}
}

func (c *chaos) collect() {
	for _, g := range c.feed.Got() {
		id := identity{g.Source.ID, g.Pos}
		before, again := c.records[id]
		if again && before != g.Line {
			c.t.Errorf("position %d of source %d was %q and is %q", g.Pos, g.Source.ID, before, g.Line)
		}
		if c.records[id] = g.Line; !again {
			c.came[g.Line]++
		}
	}
}

// acknowledge has all acknowledged before an orderly end, and some before a crash.
func (c *chaos) acknowledge() {
	if c.rand.IntN(2) == 0 {
		c.feed.Ack()
		return
	}
	for range c.rand.IntN(10) {
		c.feed.AckBatch()
	}
}

func (c *chaos) line() string {
	c.lines++
	text := fmt.Sprintf("this is line number %d", c.lines)
	c.wrote[text]++
	return text
}

func (c *chaos) grow(n int) {
	for range c.rand.IntN(20) {
		switch c.rand.IntN(24) {
		case 0, 1, 2:
			text := c.line()
			c.append(c.name(n), text[:3])
			c.settleDown()
			c.append(c.name(n), text[3:]+"\n")
		case 3:
			c.hesitate(n)
		default:
			c.append(c.name(n), c.line()+"\n")
		}
	}
}

// hesitate writes a line without its end, for longer than the line timeout, and then its end, or
// more.
func (c *chaos) hesitate(n int) {
	c.append(c.name(n), c.line())
	c.pass(quietTime)
	if c.rand.IntN(3) == 0 {
		c.crash(nil)
	}
	switch c.rand.IntN(4) {
	case 0:
		c.append(c.name(n), c.line())
	case 1:
		c.append(c.name(n), "\r")
	}
	c.settleDown()
	if c.rand.IntN(3) == 0 {
		c.crash(nil)
	}
	c.append(c.name(n), "\n")
}

func (c *chaos) crash(meanwhile func()) {
	c.collect()
	c.acknowledge()
	c.restart(meanwhile)
	c.feed.SetSpool(1 << 30)
}

func (c *chaos) rotate(n int) {
	if c.shift(n) && c.rand.IntN(2) == 0 {
		c.grow(n)
	}
}

// shift renames a file and those that were rotated before, and reports whether it did.
func (c *chaos) shift(n int) bool {
	if !c.there(n) || !c.seen[n] && !c.all {
		return false // a file that nobody could have seen is nobody's
	}
	const generations = 4
	for g := generations; g > 0; g-- {
		from := fmt.Sprintf("%s.%d", c.name(n), g-1)
		if g == 1 {
			from = c.name(n)
		}
		if g == generations {
			c.settleDown() // what is deleted must have been read
		}
		os.Rename(c.path(from), c.path(fmt.Sprintf("%s.%d", c.name(n), g)))
	}
	c.seen[n], c.full[n] = false, false
	return true
}

// copyTruncate copies and empties a file. What is written in between must be read.
func (c *chaos) copyTruncate(n int) {
	if !c.there(n) || !c.full[n] && !c.all {
		return // a file of which nothing was seen is nobody's
	}
	c.makeCopy(n)
	known := c.full[n]
	if c.rand.IntN(2) == 0 {
		c.settleDown()
	}
	if c.rand.IntN(2) == 0 && known { // else nobody can know the copy by what it has less
		c.appendWhole(n)
		c.settleDown()
	}
	c.empty(n)
	if c.rand.IntN(2) == 0 {
		c.grow(n)
	}
}

func (c *chaos) makeCopy(n int) {
	c.made++
	c.duplicate(c.name(n), fmt.Sprintf("%s.%d", c.name(n), 100+c.made))
}

// compressOne compresses one of the files that were rotated.
func (c *chaos) compressOne(n int) {
	names, _ := filepath.Glob(c.path(c.name(n) + ".*[0-9]"))
	if len(names) == 0 {
		return
	}
	name := filepath.Base(names[c.rand.IntN(len(names))])
	if _, err := os.Stat(c.path(name + ".gz")); err != nil {
		c.compress(name)
	}
}

func (c *chaos) empty(n int) {
	if c.there(n) {
		c.must(os.Truncate(c.path(c.name(n)), 0))
		c.full[n] = false
	}
}

func (c *chaos) delete(n int) {
	if names, _ := filepath.Glob(c.path(c.name(n) + "*")); len(names) > 0 {
		c.must(os.Remove(names[c.rand.IntN(len(names))]))
		c.seen[n] = c.seen[n] && c.there(n)
	}
}

// meanwhile is what happens while the input is stopped.
func (c *chaos) meanwhile() {
	for range c.rand.IntN(6) {
		n := c.rand.IntN(3)
		switch {
		case c.rand.IntN(3) > 0:
			c.appendWhole(n)
		case c.rand.IntN(2) == 0:
			c.compressOne(n)
		case c.there(n) && (c.full[n] || c.all) && c.rand.IntN(2) == 0:
			c.makeCopy(n)
			c.empty(n)
			c.appendWhole(n)
		case c.there(n) && (c.seen[n] || c.all):
			c.rotateStopped(n)
		}
	}
}

func (c *chaos) appendWhole(n int) { c.append(c.name(n), c.line()+"\n") }

// rotateStopped renames the file to a name that no other has.
func (c *chaos) rotateStopped(n int) {
	c.rename(c.name(n), fmt.Sprintf("%s.%d", c.name(n), 1000+c.lines))
	c.seen[n], c.full[n] = false, false
	c.appendWhole(n)
}
