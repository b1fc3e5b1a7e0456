; Waits for a line of the picture, for players that are called at its top. Set from outside: line.

coarse: LDA $D012
        CMP #line
        BCC coarse
        RTS
