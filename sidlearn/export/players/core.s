; Plays packed register writes: ten streams, each the bytes of a few registers. Once a tick, `play` goes through all of
; them. Set from outside: streams (table of where they begin, low and high bytes in turn), and whatever calls `play`.
;
; A stream is made of units:
;   $01-$1F  writes: bits 0 to 3 name the registers of the stream, whose values follow; bit 4: more in the same tick
;   $20-$7F  nothing happens in this tick and in value - $20 more
;   $81-$FE  play value - $80 units from the address that follows, then go on behind it
;   $FF      the end

at     = $20                    ; per stream, two bytes apart: where it is
back   = $34                    ; where to go on after a repeat
wait   = $48                    ; ticks to wait
count  = $49                    ; units left of a repeat
mask   = $5C
stream = $5D
BYTES  = 20                     ; two a stream

reset:  LDX #BYTES-1
first:  LDA streams,X
        STA at,X
        LDA #0
        STA wait,X
        DEX
        BPL first
        LDX #24
silent: STA $D400,X
        DEX
        BPL silent
        RTS

play:   LDX #BYTES-2
each:   LDA wait,X
        BEQ fetch
        DEC wait,X
        JMP next

fetch:  JSR get
        CMP #$20
        BCC write
        CMP #$80
        BCC pause
        CMP #$FF
        BEQ over
        AND #$7F                ; a repeat
        STA count,X
        JSR get
        PHA
        JSR get
        TAY
        LDA at,X
        STA back,X
        LDA at+1,X
        STA back+1,X
        PLA
        STA at,X
        STY at+1,X
        JMP fetch

over:   LDA at,X                ; stay before the end
        BNE stay
        DEC at+1,X
stay:   DEC at,X
        JMP next

pause:  SBC #$1F                ; the carry is clear
        STA wait,X
        JMP unit

write:  STA mask
        STX stream
        TXA
        ASL
        TAY                     ; four registers a stream
bit:    LSR mask
        BCC skip
        JSR get
        LDX registers,Y
        STA $D400,X
        LDX stream
skip:   INY
        TYA
        AND #3
        BNE bit
        LSR mask
        BCS fetch

unit:   LDA count,X
        BEQ next
        DEC count,X
        BNE next
        LDA back,X
        STA at,X
        LDA back+1,X
        STA at+1,X
next:   DEX
        DEX
        BPL each
        RTS

get:    LDA (at,X)
        INC at,X
        BNE got
        INC at+1,X
got:    RTS
