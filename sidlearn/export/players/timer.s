; Waits until the timer that gives the ticks has counted for a while. Set from outside: clock, limit (of its high byte).

coarse: LDA clock+1
        CMP #limit
        BCS coarse
        RTS
