package main

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// A cast is what all entries of one telling of a story share.
type cast struct {
	trace, ip, user, order, amount string
}

var users = []string{"amina", "bjorn", "chloe", "deniz", "elena", "farid", "greta", "hiro"}

func newCast() cast {
	return cast{
		trace:  hexID(16),
		ip:     fmt.Sprintf("203.0.113.%d", 1+rand.N(254)),
		user:   users[rand.N(len(users))],
		order:  strconv.Itoa(10000 + rand.N(90000)),
		amount: fmt.Sprintf("%.2f", 5+rand.Float64()*200),
	}
}

// fill puts the words in braces into an entry, as of now.
func (c cast) fill(text string, now time.Time) string {
	return strings.NewReplacer(
		"{trace}", c.trace,
		"{ip}", c.ip,
		"{user}", c.user,
		"{order}", c.order,
		"{amount}", c.amount,
		"{span}", hexID(8),
		"{n}", strconv.Itoa(1+rand.N(9)),
		"{ms}", strconv.Itoa(3+rand.N(240)),
		"{bytes}", strconv.Itoa(180+rand.N(9000)),
		"{iso}", now.Format("2006-01-02T15:04:05.000Z07:00"),
		"{clf}", now.Format("02/Jan/2006:15:04:05 -0700"),
		"{epoch_ms}", strconv.FormatInt(now.UnixMilli(), 10),
		"{epoch_s}", fmt.Sprintf("%d.%06d", now.Unix(), now.Nanosecond()/1000),
	).Replace(text)
}

// hexID gives n random bytes in hex. Nothing rests on their being hard to guess.
func hexID(n int) string {
	id := make([]byte, n)
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(id)
}
